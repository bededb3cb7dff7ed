"""What finchain costs, measured by asv commit by commit; `peers` measures it beside others in one run.

`FINCHAIN_BENCH_ROWS` sets the size of a workload. Ledgers are durable: a block is synced before it is answered.
"""

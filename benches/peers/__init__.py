"""finchain beside others that do part of its work, in one process and one run."""

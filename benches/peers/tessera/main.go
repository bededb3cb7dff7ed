// Appends leaves to a Tessera log on a POSIX file system and says how long that took, for the side-by-side benchmarks.
//
// Usage: tessera [-batch N] FOLDER <LEAVES, where each line of LEAVES but the last, an empty one, is a leaf. It prints
// "ready" when it holds all of them, begins when standard input gives it one line more, and ends with a line of JSON
// once the driver has answered the last leaf: sequenced, integrated, written with O_SYNC. There is no deduplication, no
// witness and no connection to anywhere.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// Leaves that wait for their answer at once: half of what the driver takes before it pushes back, and many batches.
const outstanding = tessera.DefaultPushbackMaxOutstanding / 2

// lineBytesMax is the longest leaf: that of C2SP tlog-tiles.
const lineBytesMax = 1 << 16

func main() {
	batch := flag.Uint("batch", tessera.DefaultBatchMaxSize, "leaves that are written together")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("name the folder of the log")
	}
	if err := run(context.Background(), flag.Arg(0), *batch); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, folder string, batch uint) error {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, lineBytesMax)
	var leaves [][]byte
	for input.Scan() && len(input.Bytes()) > 0 {
		leaves = append(leaves, bytes.Clone(input.Bytes()))
	}
	add, err := open(ctx, folder, batch)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if !input.Scan() {
		return fmt.Errorf("nobody said go: %w", input.Err())
	}
	started := time.Now()
	if err := appendAll(ctx, add, leaves); err != nil {
		return err
	}
	seconds := time.Since(started).Seconds()
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"leaves": len(leaves), "seconds": seconds})
}

// open makes a new log with a key of its own. Nothing shuts it down: that would wait for the next checkpoint, which a
// driver publishes every ten seconds, and the folder is thrown away.
func open(ctx context.Context, folder string, batch uint) (tessera.AddFn, error) {
	secret, _, err := note.GenerateKey(rand.Reader, "bench.example/tessera")
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: folder})
	if err != nil {
		return nil, err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(batch, tessera.DefaultBatchMaxAge)
	appender, _, _, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return nil, err
	}
	return appender.Add, nil
}

// appendAll adds every leaf in order, and returns when each is answered or one has failed.
func appendAll(ctx context.Context, add tessera.AddFn, leaves [][]byte) error {
	waiting := make(chan tessera.IndexFuture, outstanding)
	answered := make(chan error, 1)
	go func() {
		var failed error
		for future := range waiting {
			if _, err := future(); err != nil && failed == nil {
				failed = err
			}
		}
		answered <- failed
	}()
	for _, leaf := range leaves {
		waiting <- add(ctx, tessera.NewEntry(leaf))
	}
	close(waiting)
	return <-answered
}

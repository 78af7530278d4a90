package main

import "sync"

// A goroutine without arguments or captured variables needs no closure: the
// cheapest one that Go can start.
var spawned sync.WaitGroup

func child() { spawned.Done() }

func spawn(args []string) {
	r := newRun("spawn", 1, 1000000)
	batch := r.flags.Int("batch", 0, "goroutines per batch, 0: all at once")
	r.parse(args)

	r.start()
	for left := *r.n; left > 0; {
		now := *batch
		if now == 0 || now > left {
			now = left
		}
		spawned.Add(now)
		for i := 0; i < now; i++ {
			go child()
		}
		spawned.Wait()
		left -= now
	}
	r.stop()

	f := r.figures(*r.n)
	f["batch"] = *batch
	f.print()
}

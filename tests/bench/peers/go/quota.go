package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// quota is tests/lab/quota.c without the control group: tests/lab/run, or
// whoever starts it, puts it into one. The goroutines that compute need no
// checks: Go's signals stop them.
func quota(args []string) {
	r := newRun("quota", 2, 1) // what Go 1.25 and later choose below a quota of two
	seconds := r.flags.Int("seconds", 5, "how long")
	hogs := r.flags.Int("hogs", 2, "goroutines that compute")
	r.parse(args, seconds, hogs)
	var stop int64
	var over sync.WaitGroup
	late := []time.Duration{}

	r.start()
	over.Add(*hogs + 1)
	for i := 0; i < *hogs; i++ {
		go func() {
			for atomic.LoadInt64(&stop) == 0 {
			}
			over.Done()
		}()
	}
	go func() {
		for atomic.LoadInt64(&stop) == 0 {
			begin := time.Now()
			time.Sleep(2 * time.Millisecond)
			late = append(late, time.Since(begin)-2*time.Millisecond)
		}
		over.Done()
	}()
	time.Sleep(time.Duration(*seconds) * time.Second)
	atomic.StoreInt64(&stop, 1)
	over.Wait()
	r.stop()

	f := r.figures(*r.n)
	f.spread("late", late)
	f.print()
}

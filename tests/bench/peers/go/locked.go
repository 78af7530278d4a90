package main

import (
	"os"
	"runtime"
	"sync"
)

func locked(args []string) {
	r := newRun("locked", 1, 50000)
	count := r.flags.Int("locked", 1, "how many of the two are locked")
	r.parse(args, count)
	if *count > 2 {
		r.flags.Usage()
		os.Exit(2)
	}
	n, both := *r.n, *count == 2
	there, back := make(chan int), make(chan int)
	var ended sync.WaitGroup
	returned := 0

	r.start()
	ended.Add(2)
	go func() {
		if both {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
		}
		for i := 0; i < n; i++ {
			back <- <-there
		}
		ended.Done()
	}()
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		sum := 0
		for i := 0; i < n; i++ {
			there <- i
			sum += <-back
		}
		returned = sum
		ended.Done()
	}()
	ended.Wait()
	r.stop()

	check("sum of what came back", returned, n*(n-1)/2)
	f := r.figures(n)
	f["locked"] = *count
	f.print()
}

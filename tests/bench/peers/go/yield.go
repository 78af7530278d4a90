package main

import (
	"os"
	"runtime"
	"sync"
)

func yield(args []string) {
	r := newRun("yield", 1, 10000000)
	gs := r.flags.Int("gs", 2, "goroutines that yield")
	verify := r.flags.Int("verify", 0, "count repeats (one P only)")
	r.parse(args, gs)
	if *verify != 0 && *r.procs != 1 {
		r.flags.Usage()
		os.Exit(2)
	}
	each := *r.n / *gs
	var ended sync.WaitGroup
	last, repeats := -1, 0

	r.start()
	ended.Add(*gs)
	for g := 0; g < *gs; g++ {
		if *verify == 0 {
			go func() {
				for i := 0; i < each; i++ {
					runtime.Gosched()
				}
				ended.Done()
			}()
			continue
		}
		go func(me int) {
			for i := 0; i < each; i++ {
				if last == me {
					repeats++
				}
				last = me
				runtime.Gosched()
			}
			ended.Done()
		}(g)
	}
	ended.Wait()
	r.stop()

	f := r.figures(each * *gs)
	f["gs"] = *gs
	if *verify != 0 {
		f["repeats"] = repeats
	}
	f.print()
}

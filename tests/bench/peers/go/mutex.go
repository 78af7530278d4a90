package main

import "sync"

func mutex(args []string) {
	r := newRun("mutex", 1, 20000000)
	gs := r.flags.Int("gs", 1, "goroutines that lock")
	r.parse(args, gs)
	each := *r.n / *gs
	var lock sync.Mutex
	var ended sync.WaitGroup
	counter := 0

	r.start()
	ended.Add(*gs)
	for g := 0; g < *gs; g++ {
		go func() {
			for i := 0; i < each; i++ {
				lock.Lock()
				counter++
				lock.Unlock()
			}
			ended.Done()
		}()
	}
	ended.Wait()
	r.stop()

	check("count under the lock", counter, each**gs)
	f := r.figures(each * *gs)
	f["gs"] = *gs
	f.print()
}

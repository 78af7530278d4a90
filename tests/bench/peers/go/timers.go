package main

import (
	"sync"
	"time"
)

// lateSlots is written all over before the clock runs, so that its page
// faults are not part of a figure, as in the C programs.
func lateSlots(n int) []time.Duration {
	late := make([]time.Duration, n)
	for i := range late {
		late[i] = -1
	}
	return late
}

func timers(args []string) {
	r := newRun("timers", 1, 100000)
	roundsFlag := r.flags.Int("rounds", 10, "sleeps of each")
	r.parse(args, roundsFlag)
	rounds := *roundsFlag
	late := lateSlots(*r.n * rounds)
	var ended sync.WaitGroup

	r.start()
	// time.Since of one origin reads the monotonic clock alone.
	origin := r.began
	ended.Add(*r.n)
	for g := 0; g < *r.n; g++ {
		go func(first int) {
			for i := first; i < first+rounds; i++ {
				length := time.Duration(1000000 + random(uint64(i))%99000001)
				begin := time.Since(origin)
				time.Sleep(length)
				late[i] = time.Since(origin) - begin - length
			}
			ended.Done()
		}(g * rounds)
	}
	ended.Wait()
	r.stop()

	f := r.figures(*r.n * rounds)
	f["rounds"] = rounds
	f.lateness(late)
	f.print()
}

func sleep(args []string) {
	r := newRun("sleep", 2, 1000)
	lengthUS := r.flags.Int("length-us", 1000, "length of each")
	r.parse(args, lengthUS)
	late := lateSlots(*r.n)
	length := time.Duration(*lengthUS) * time.Microsecond

	r.start()
	origin := r.began
	for i := range late {
		begin := time.Since(origin)
		time.Sleep(length)
		late[i] = time.Since(origin) - begin - length
	}
	r.stop()

	f := r.figures(*r.n)
	f["length_us"] = *lengthUS
	f.lateness(late)
	f.print()
}

package main

import (
	"math"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// spread adds median, p99 and maximum in us, nearest rank as in the C programs.
func (f figures) spread(name string, values []time.Duration) {
	f[name+"_n"] = len(values)
	if len(values) == 0 {
		return
	}
	sort.Slice(values, func(i, j int) bool { return values[i] < values[j] })
	rank := func(q float64) float64 {
		at := int(math.Ceil(q * float64(len(values))))
		return float64(values[at-1]) / 1e3
	}
	f[name+"_p50_us"] = rank(0.50)
	f[name+"_p99_us"] = rank(0.99)
	f[name+"_max_us"] = float64(values[len(values)-1]) / 1e3
}

// episode is one hog and its neighbours; see tests/lab/hog.c.
type episode struct {
	began, told   int64 // atomic
	mutex         sync.Mutex
	first, late   []time.Duration
	gate          chan struct{}
	waiting, gone sync.WaitGroup
}

func (e *episode) hog(origin time.Time, neighbours int) {
	for i := 0; i < neighbours; i++ {
		e.gate <- struct{}{}
	}
	atomic.StoreInt64(&e.began, int64(time.Since(origin)))
	for atomic.LoadInt64(&e.told) == 0 {
	}
	e.gone.Done()
}

func (e *episode) neighbour(origin time.Time, nap time.Duration) {
	e.waiting.Done()
	<-e.gate
	wait := time.Since(origin) - time.Duration(atomic.LoadInt64(&e.began))
	late := []time.Duration{}
	for atomic.LoadInt64(&e.told) == 0 {
		begin := time.Since(origin)
		time.Sleep(nap)
		late = append(late, time.Since(origin)-begin-nap)
	}
	e.mutex.Lock()
	e.first = append(e.first, wait)
	e.late = append(e.late, late...)
	e.mutex.Unlock()
	e.gone.Done()
}

func hog(args []string) {
	r := newRun("hog", 1, 60)
	neighbours := r.flags.Int("neighbours", 4, "goroutines beside the hog")
	lengthMS := r.flags.Int("length-ms", 100, "how long one hog spins")
	r.parse(args, neighbours, lengthMS)
	var first, late []time.Duration

	r.start()
	for i := 0; i < *r.n; i++ {
		e := &episode{gate: make(chan struct{}, *neighbours)}
		e.waiting.Add(*neighbours)
		e.gone.Add(*neighbours + 1)
		for k := 0; k < *neighbours; k++ {
			go e.neighbour(r.began, time.Millisecond)
		}
		e.waiting.Wait()
		go e.hog(r.began, *neighbours)
		time.Sleep(time.Duration(*lengthMS) * time.Millisecond)
		atomic.StoreInt64(&e.told, 1)
		e.gone.Wait()
		first = append(first, e.first...)
		late = append(late, e.late...)
	}
	r.stop()

	f := r.figures(*r.n)
	f["neighbours"] = *neighbours
	f["length_ms"] = *lengthMS
	f.spread("first", first)
	f.spread("late", late)
	f.print()
}

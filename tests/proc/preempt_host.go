// A Go process whose C code is preempted while Go preempts its own: garbage is
// collected, a goroutine spins, and os/signal gets what is Go's.
//
//	preempt_host LIBRARY
package main

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <thrum/host.h>
#include <thrum/observe.h>

#define COMPUTES __attribute__((noinline, section("computes")))
extern const char __start_computes[], __stop_computes[];

static struct {
	__typeof__(thrum_rt_new)* rt_new;
	__typeof__(thrum_rt_stop)* rt_stop;
	__typeof__(thrum_rt_free)* rt_free;
	__typeof__(thrum_run)* run;
	__typeof__(thrum_spawn)* spawn;
	__typeof__(thrum_join)* join;
	__typeof__(thrum_yield)* yield;
	__typeof__(thrum_p_each)* p_each;
	__typeof__(thrum_preempt_enable)* enable;
	__typeof__(thrum_preempt_region)* region;
} api;
static thrum_rt* rt;

static int load(const char* path) {
	void* h = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!h)
		return -1;
	const char* names[] = {"thrum_rt_new", "thrum_rt_stop", "thrum_rt_free",
		"thrum_run", "thrum_spawn", "thrum_join", "thrum_yield",
		"thrum_p_each", "thrum_preempt_enable", "thrum_preempt_region"};
	void** to = (void**)(void*)&api;
	for (int i = 0; i < 10; i++)
		if (!(to[i] = dlsym(h, names[i])))
			return -2;
	return 0;
}
static const char* load_error(void) { return dlerror(); }

static int hogs_go_on = 1;
COMPUTES static void hog(void* arg) {
	volatile long* n = arg;
	while (__atomic_load_n(&hogs_go_on, __ATOMIC_RELAXED))
		++*n;
}
static void sum(void* arg, const thrum_p_stats* s) {
	*(long*)arg += (long)s->preemptions;
}
static long preemptions(void) {
	long n = 0;
	api.p_each(rt, sum, &n);
	return n;
}
static long wanted;
static void first(void* arg) {
	long n[4] = {0};
	thrum_g g[4];
	(void)arg;
	for (int i = 0; i < 4; i++)
		api.spawn(NULL, NULL, hog, &n[i], &g[i]);
	while (preemptions() < wanted)
		api.yield();
	__atomic_store_n(&hogs_go_on, 0, __ATOMIC_RELAXED);
	for (int i = 0; i < 4; i++)
		api.join(NULL, g[i], THRUM_FOREVER);
}
static int start(int signo) {
	thrum_config c;
	memset(&c, 0, sizeof c);
	c.struct_size = sizeof c;
	c.procs = 2;
	c.slice_ns = 1000000;
	int err = api.rt_new(&rt, &c);
	if (err)
		return err;
	err = api.region(__start_computes, __stop_computes, 0);
	return err ? err : api.enable(rt, signo);
}
static int run(long preempted) {
	wanted = preempted;
	return api.run(rt, first, NULL);
}
static int stop(void) {
	int err = api.rt_stop(rt, THRUM_FOREVER);
	api.rt_free(rt);
	return err;
}
static int last_number(void) { return SIGRTMAX - 3; }
*/
import "C"

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

var done atomic.Bool

// Garbage, as much as there is time for.
func allocate() {
	var keep [64][]byte
	for i := 0; !done.Load(); i++ {
		keep[i%len(keep)] = make([]byte, 4096+i%4096)
	}
}

var spun int

// Only a signal makes this let the collector stop the world.
func spin() {
	for i := 0; ; i++ {
		spun = i
	}
}

func fail(format string, args ...any) {
	fmt.Printf(format+"\n", args...)
	os.Exit(1)
}

// Sends n signals to the process; each must come through to Go.
func passThrough(number syscall.Signal, n int) {
	came := make(chan os.Signal, n)
	signal.Notify(came, number)
	for i := 0; i < n; i++ {
		if err := syscall.Kill(os.Getpid(), number); err != nil {
			fail("kill: %v", err)
		}
		select {
		case <-came:
		case <-time.After(20 * time.Second):
			fail("signal %d of %d did not reach Go", i+1, n)
		}
	}
	// Let a stray one come: it would be thrum's.
	time.Sleep(10 * time.Millisecond)
	if len(came) != 0 {
		fail("Go got %d signals too many", len(came))
	}
	signal.Stop(came)
}

func main() {
	if C.load(C.CString(os.Args[1])) != 0 {
		fmt.Printf("skipped: Go cannot load the library: %s\n",
			C.GoString(C.load_error()))
		os.Exit(77)
	}
	number := C.last_number()
	if got := C.start(number); got == C.THRUM_ENOTSUP {
		fmt.Println("skipped: preemption is not supported here")
		os.Exit(77)
	} else if got != number {
		fail("enable gave %d", got)
	}
	// One goroutine may spin for ever, with a CPU to spare for the rest.
	runtime.GOMAXPROCS(runtime.NumCPU() + 2)
	go allocate()
	go spin()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ended := make(chan C.int)
	go func() { ended <- C.run(300) }()
	for running := true; running; {
		select {
		case err := <-ended:
			if err != 0 {
				fail("run gave %d", err)
			}
			running = false
		default:
			runtime.GC()
			passThrough(syscall.Signal(number), 1)
		}
	}
	preempted := C.preemptions()
	for i := 0; i < 10; i++ {
		runtime.GC()
	}
	runtime.ReadMemStats(&after)
	if collected := after.NumGC - before.NumGC; collected < 10 {
		fail("only %d collections", collected)
	}
	passThrough(syscall.Signal(number), 10)
	if err := C.stop(); err != 0 {
		fail("stop gave %d", err)
	}
	passThrough(syscall.Signal(number), 10)
	done.Store(true)
	fmt.Printf("ok: %d preemptions, %d collections\n", preempted,
		after.NumGC-before.NumGC)
	os.Exit(0)
}

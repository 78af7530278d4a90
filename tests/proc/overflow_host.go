// A Go process in whose C code a G runs over the end of its stack: thrum names it,
// and Go's handler, which was there before, ends the process in its own way. A nil
// dereference in Go stays a panic.
//
//	overflow_host LIBRARY
package main

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stddef.h>
#include <thrum/host.h>

static void* lib;
#define API(name) ((__typeof__(name)*)dlsym(lib, #name))

static volatile char sink;
__attribute__((noinline)) static int recurse(int n) {
	volatile char frame[200];
	frame[0] = (char)n;
	return n < 0 ? 0 : recurse(n + 1) + frame[0];
}
static void overflow(void* arg) {
	(void)arg;
	sink = (char)recurse(0);
}
static thrum_rt* rt;
static int start(const char* path) {
	lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return -1;
	thrum_config c; // on the calling thread, which is Go's
	API(thrum_config_init)(&c, sizeof c);
	c.flags = THRUM_RT_HOSTED;
	int err = API(thrum_rt_new)(&rt, &c);
	return err ? err : API(thrum_overflow_enable)(rt);
}
static int run(void) { return API(thrum_run)(rt, overflow, NULL); }
*/
import "C"

import (
	"fmt"
	"os"
)

func panics() (yes bool) {
	defer func() { yes = recover() != nil }()
	var nowhere *int
	*nowhere = 1
	return
}

func main() {
	if rc := C.start(C.CString(os.Args[1])); rc != 0 {
		fmt.Println("skipped: the library cannot be used:", rc)
		os.Exit(77)
	}
	if !panics() {
		fmt.Println("no panic")
		os.Exit(1)
	}
	fmt.Println("ran:", C.run())
}

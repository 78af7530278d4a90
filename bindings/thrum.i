// The one SWIG interface of all hosts: what the public headers declare, with the
// same names. Each host's part holds its typemaps and says what it leaves out:
//
//   python/thrum_python.i   lua/thrum_lua.i   and for `swig -xml`, which Rust's
//   externs are made from, nothing: the tree is whole.
//
// Whatever runs a host's function (spawn, hooks, callbacks) or switches Gs on a
// hot path is written by hand beside it; here is the flat rest: constants,
// errors, structs, statistics, network and time.
%module _thrum

%{
#include <thrum/host.h>
#include <thrum/net.h>
#include <thrum/observe.h>
#include <thrum/os.h>
#include <thrum/place.h>
#include <thrum/thrum.h>
%}

#if defined(SWIGPYTHON)
%include "python/thrum_python.i"
#elif defined(SWIGLUA)
%include "lua/thrum_lua.i"
#endif

%include "thrum/thrum.h"
%include "thrum/host.h"
%include "thrum/net.h"
%include "thrum/os.h"
%include "thrum/observe.h"
#if !defined(SWIGPYTHON) && !defined(SWIGLUA)
// Those have no typemaps for it yet.
%include "thrum/place.h"
#endif

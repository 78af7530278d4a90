// Lua's part of the flat layer, `require "thrum.flat"`: numbers of 64 bits whole,
// and what is left out because thrum's own functions do it: whatever calls back,
// hands out C objects, or parks in a way that needs the state's help.
// SPDX-License-Identifier: MIT

%{
#include "integers.h"
int wait_refused(lua_State* L); /* wait.c */
%}

// ---- Numbers: SWIG's own go through lua_Number and lose what is above 2^53 -----

%define THRUM_WHOLE(TYPE, IS, GET, PUSH)
%typemap(in, checkfn="IS") TYPE %{ $1 = (TYPE)GET(L, $input); %}
%typemap(in, checkfn="IS") const TYPE& ($*1_ltype it)
  %{ it = (TYPE)GET(L, $input); $1 = &it; %}
%typemap(out) TYPE %{ PUSH(L, $1); SWIG_arg++; %}
%typemap(varout) TYPE %{ PUSH(L, $1); SWIG_arg++; %}
%enddef

THRUM_WHOLE(int64_t, integer_is, integer_get, integer_push)
THRUM_WHOLE(uint64_t, integer_is, unsigned_get, unsigned_push)
THRUM_WHOLE(size_t, integer_is, unsigned_get, unsigned_push)
THRUM_WHOLE(int, integer32_is, integer_get, integer_push)
THRUM_WHOLE(int32_t, integer32_is, integer_get, integer_push)
THRUM_WHOLE(uint32_t, unsigned32_is, unsigned_get, unsigned_push)
THRUM_WHOLE(thrum_g, integer_is, unsigned_get, unsigned_push)

// The one constant of 64 bits is put into the module's table by hand.
%ignore THRUM_FOREVER;
%init %{ flat_constants(L); %}

// ---- A call that may park must not be made in a finalizer ----------------------

%exception {
  if (wait_refused(L)) {
    luaL_error(L, "a finalizer must not wait");
  }
  $action
}

// ---- What stays out ------------------------------------------------------------

%rename("$ignore", regextarget=1, %$isclass) "^thrum_";
%rename("$ignore", regextarget=1, %$isfunction)
  "^thrum_(spawn|run|pump|rt_new|rt_stop|rt_free|rt_retain|once_do|on_thread|g_each|p_each|select|calloc|realloc|free|usable_size|park|lock_thread|unlock_thread|enter_blocking|exit_blocking|stack|trim|cpus|config_init|watchdog|trace_hash|memory_report)$";
%rename("$ignore", regextarget=1, %$isfunction)
  "^thrum_(domain|local|chan|alloc|heap|mutex|rwmutex|cond|wg|sem|world|preempt|overflow|pin|addr|conn|udp|listener|fd|read|write|tcp|dial|listen|accept|poll|sendfile|resolve|signal|file|process|proc_|dir|stat|rename|remove)";

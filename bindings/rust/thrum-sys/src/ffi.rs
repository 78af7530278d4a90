// Written by generate.py from bindings/thrum.i; see <thrum/*.h> for what each does.
// SPDX-License-Identifier: MIT
use core::ffi::{c_char, c_int, c_void};

pub const THRUM_VERSION_MAJOR: c_int = 0;
pub const THRUM_VERSION_MINOR: c_int = 1;
pub const THRUM_VERSION_PATCH: c_int = 0;
pub const THRUM_VERSION: c_int = (0 << 16)|(1 << 8)|0;
pub const THRUM_EPERM: c_int = -1;
pub const THRUM_E2BIG: c_int = -7;
pub const THRUM_EAGAIN: c_int = -11;
pub const THRUM_ENOMEM: c_int = -12;
pub const THRUM_EBUSY: c_int = -16;
pub const THRUM_EINVAL: c_int = -22;
pub const THRUM_ENOTSUP: c_int = -95;
pub const THRUM_ETIMEDOUT: c_int = -110;
pub const THRUM_ECANCELED: c_int = -125;
pub const THRUM_ENOTG: c_int = -1001;
pub const THRUM_ESTALE: c_int = -1002;
pub const THRUM_ECLOSED: c_int = -1003;
pub const THRUM_EDEADLOCK: c_int = -1004;
pub const THRUM_EFORKED: c_int = -1005;
pub const THRUM_ENOENT: c_int = -2;
pub const THRUM_ESRCH: c_int = -3;
pub const THRUM_EINTR: c_int = -4;
pub const THRUM_EIO: c_int = -5;
pub const THRUM_ENXIO: c_int = -6;
pub const THRUM_ENOEXEC: c_int = -8;
pub const THRUM_EBADF: c_int = -9;
pub const THRUM_ECHILD: c_int = -10;
pub const THRUM_EACCES: c_int = -13;
pub const THRUM_EFAULT: c_int = -14;
pub const THRUM_EEXIST: c_int = -17;
pub const THRUM_EXDEV: c_int = -18;
pub const THRUM_ENODEV: c_int = -19;
pub const THRUM_ENOTDIR: c_int = -20;
pub const THRUM_EISDIR: c_int = -21;
pub const THRUM_ENFILE: c_int = -23;
pub const THRUM_EMFILE: c_int = -24;
pub const THRUM_ENOTTY: c_int = -25;
pub const THRUM_ETXTBSY: c_int = -26;
pub const THRUM_EFBIG: c_int = -27;
pub const THRUM_ENOSPC: c_int = -28;
pub const THRUM_ESPIPE: c_int = -29;
pub const THRUM_EROFS: c_int = -30;
pub const THRUM_EMLINK: c_int = -31;
pub const THRUM_EPIPE: c_int = -32;
pub const THRUM_EDOM: c_int = -33;
pub const THRUM_ERANGE: c_int = -34;
pub const THRUM_ENAMETOOLONG: c_int = -36;
pub const THRUM_ENOLCK: c_int = -37;
pub const THRUM_ENOSYS: c_int = -38;
pub const THRUM_ENOTEMPTY: c_int = -39;
pub const THRUM_ELOOP: c_int = -40;
pub const THRUM_ENODATA: c_int = -61;
pub const THRUM_EPROTO: c_int = -71;
pub const THRUM_EBADMSG: c_int = -74;
pub const THRUM_EOVERFLOW: c_int = -75;
pub const THRUM_EILSEQ: c_int = -84;
pub const THRUM_EUSERS: c_int = -87;
pub const THRUM_ENOTSOCK: c_int = -88;
pub const THRUM_EDESTADDRREQ: c_int = -89;
pub const THRUM_EMSGSIZE: c_int = -90;
pub const THRUM_EPROTOTYPE: c_int = -91;
pub const THRUM_ENOPROTOOPT: c_int = -92;
pub const THRUM_EPROTONOSUPPORT: c_int = -93;
pub const THRUM_ESOCKTNOSUPPORT: c_int = -94;
pub const THRUM_EPFNOSUPPORT: c_int = -96;
pub const THRUM_EAFNOSUPPORT: c_int = -97;
pub const THRUM_EADDRINUSE: c_int = -98;
pub const THRUM_EADDRNOTAVAIL: c_int = -99;
pub const THRUM_ENETDOWN: c_int = -100;
pub const THRUM_ENETUNREACH: c_int = -101;
pub const THRUM_ENETRESET: c_int = -102;
pub const THRUM_ECONNABORTED: c_int = -103;
pub const THRUM_ECONNRESET: c_int = -104;
pub const THRUM_ENOBUFS: c_int = -105;
pub const THRUM_EISCONN: c_int = -106;
pub const THRUM_ENOTCONN: c_int = -107;
pub const THRUM_ESHUTDOWN: c_int = -108;
pub const THRUM_ETOOMANYREFS: c_int = -109;
pub const THRUM_ECONNREFUSED: c_int = -111;
pub const THRUM_EHOSTDOWN: c_int = -112;
pub const THRUM_EHOSTUNREACH: c_int = -113;
pub const THRUM_EALREADY: c_int = -114;
pub const THRUM_EINPROGRESS: c_int = -115;
pub const THRUM_ESTALEFH: c_int = -116;
pub const THRUM_EREMOTEIO: c_int = -121;
pub const THRUM_EDQUOT: c_int = -122;
pub const THRUM_ENOMEDIUM: c_int = -123;
pub const THRUM_TRY: c_int = 0;
pub const THRUM_FOREVER: i64 = 9223372036854775807;
pub const THRUM_RT_DETERMINISTIC: u32 = 1;
pub const THRUM_RT_HOSTED: u32 = 2;
pub const THRUM_RT_HIBERNATE: u32 = 4;
pub const THRUM_MIGRATE: u32 = 0;
pub const THRUM_PIN_STARTED: u32 = 1;
pub const THRUM_PIN_M: u32 = 2;
pub const THRUM_PRIO_HIGH: u32 = 1;
pub const THRUM_PRIO_LOW: u32 = 2;
pub const THRUM_G_HIBERNATE: u32 = 1;
pub const THRUM_SEND: u32 = 1;
pub const THRUM_RECV: u32 = 2;
pub const THRUM_DOMAIN_HOST_LOCK: u32 = 1;
pub const THRUM_DOMAIN_PUMPED: u32 = 2;
pub const THRUM_PREEMPT_MIGRATE: u32 = 1;
pub const THRUM_STATE_RUNNABLE: u32 = 1;
pub const THRUM_STATE_RUNNING: u32 = 2;
pub const THRUM_STATE_WAITING: u32 = 3;
pub const THRUM_STATE_BLOCKING: u32 = 4;
pub const THRUM_LISTEN_REUSEPORT: u32 = 1;
pub const THRUM_LISTEN_V6ONLY: u32 = 2;
pub const THRUM_READABLE: c_int = 1;
pub const THRUM_WRITABLE: c_int = 2;
pub const THRUM_OPT_NODELAY: u32 = 1;
pub const THRUM_OPT_KEEPALIVE: u32 = 2;
pub const THRUM_OPT_LINGER: u32 = 3;
pub const THRUM_OPT_RCVBUF: u32 = 4;
pub const THRUM_OPT_SNDBUF: u32 = 5;
pub const THRUM_KIND_UNKNOWN: u32 = 0;
pub const THRUM_KIND_FILE: u32 = 1;
pub const THRUM_KIND_DIR: u32 = 2;
pub const THRUM_KIND_LINK: u32 = 3;
pub const THRUM_KIND_OTHER: u32 = 4;
pub const THRUM_PROCESS_GROUP: u32 = 1;
pub const THRUM_STDIO_INHERIT: u32 = 0;
pub const THRUM_STDIO_NULL: u32 = 1;
pub const THRUM_STDIO_PIPE: u32 = 2;
pub const THRUM_STDIO_FD: u32 = 3;
pub const THRUM_STALL_KEPT: u32 = 0;
pub const THRUM_STALL_RETAKEN: u32 = 1;
pub const THRUM_STALL_INSIDE: u32 = 2;
pub const THRUM_REPORT_METRICS: u32 = 1;
pub const THRUM_REPORT_HEATMAP: u32 = 2;
pub const THRUM_REPORT_WAITS: u32 = 3;
pub const THRUM_FORMAT_JSON: u32 = 1;
pub const THRUM_FORMAT_PROMETHEUS: u32 = 2;
pub const THRUM_FORMAT_CSV: u32 = 3;
pub const THRUM_FORMAT_TEXT: u32 = 4;
pub const THRUM_PROFILE_MUTEX: u32 = 1;
pub const THRUM_PROFILE_BLOCK: u32 = 2;
pub const THRUM_PROFILE_CPU: u32 = 3;
pub const THRUM_FORMAT_PPROF: u32 = 5;
pub const THRUM_FORMAT_FOLDED: u32 = 6;
pub const THRUM_STUCK_CYCLE: u32 = 1;
pub const THRUM_STUCK_BEHIND: u32 = 2;
pub const THRUM_STUCK_ENDED: u32 = 3;
pub const THRUM_STUCK_LEAK: u32 = 4;
pub const THRUM_DEBUG_MAGIC: &core::ffi::CStr = c"\x7fthrum debug 1\n";
pub const THRUM_PLACE_ONCE: u32 = 1;
pub const THRUM_PLACE_UNPACED: u32 = 2;
pub const THRUM_PLACE_FLAT: u32 = 4;
pub const THRUM_PLACE_PIN_CPU: u32 = 8;
pub const THRUM_PLACE_PIN_NODE: u32 = 16;
pub type thrum_g = u64;
pub type thrum_fn = Option<unsafe extern "C" fn(*mut c_void)>;
pub type thrum_write_fn = Option<unsafe extern "C" fn(*mut c_void, *const c_char, usize) -> c_int>;

#[repr(C)]
pub struct thrum_rt {
    _opaque: [u8; 0],
    _marker: core::marker::PhantomData<(*mut u8, core::marker::PhantomPinned)>,
}

#[repr(C)]
pub struct thrum_chan {
    _opaque: [u8; 0],
    _marker: core::marker::PhantomData<(*mut u8, core::marker::PhantomPinned)>,
}

#[repr(C)]
pub struct thrum_domain {
    _opaque: [u8; 0],
    _marker: core::marker::PhantomData<(*mut u8, core::marker::PhantomPinned)>,
}

#[repr(C)]
pub struct thrum_heap {
    _opaque: [u8; 0],
    _marker: core::marker::PhantomData<(*mut u8, core::marker::PhantomPinned)>,
}

#[repr(C)]
pub struct thrum_listener {
    _opaque: [u8; 0],
    _marker: core::marker::PhantomData<(*mut u8, core::marker::PhantomPinned)>,
}

#[repr(C)]
pub struct thrum_conn {
    _opaque: [u8; 0],
    _marker: core::marker::PhantomData<(*mut u8, core::marker::PhantomPinned)>,
}

#[repr(C)]
pub struct thrum_udp {
    _opaque: [u8; 0],
    _marker: core::marker::PhantomData<(*mut u8, core::marker::PhantomPinned)>,
}

#[repr(C)]
pub struct thrum_fd {
    _opaque: [u8; 0],
    _marker: core::marker::PhantomData<(*mut u8, core::marker::PhantomPinned)>,
}

#[repr(C)]
pub struct thrum_process {
    _opaque: [u8; 0],
    _marker: core::marker::PhantomData<(*mut u8, core::marker::PhantomPinned)>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_allocator {
    pub struct_size: u32,
    pub reserved: u32,
    pub arg: *mut c_void,
    pub alloc: Option<unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void>,
    pub free: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, usize)>,
    pub reserve: Option<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void>,
    pub release: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, usize)>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_config {
    pub struct_size: u32,
    pub procs: u32,
    pub max_threads: u32,
    pub flags: u32,
    pub stack_size: u64,
    pub slice_ns: i64,
    pub seed: u64,
    pub sysmon_ns: i64,
    pub idle_ns: i64,
    pub allocator: *const thrum_allocator,
    pub max_procs: u32,
    pub place: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_spawn_opts {
    pub struct_size: u32,
    pub affinity: u32,
    pub stack_size: u64,
    pub name: *const c_char,
    pub drop: Option<unsafe extern "C" fn(*mut c_void)>,
    pub priority: u32,
    pub flags: u32,
    pub domain: *mut thrum_domain,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_case {
    pub chan: *mut thrum_chan,
    pub elem: *mut c_void,
    pub op: u32,
    pub result: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_mutex {
    pub opaque: [u64; 4],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_rwmutex {
    pub opaque: [u64; 8],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_cond {
    pub opaque: [u64; 4],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_wg {
    pub opaque: [u64; 4],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_sem {
    pub opaque: [u64; 4],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_once {
    pub opaque: [u64; 4],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_domain_ops {
    pub struct_size: u32,
    pub flags: u32,
    pub handover_ns: i64,
    pub acquire: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
    pub release: Option<unsafe extern "C" fn(*mut c_void)>,
    pub switch_to: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void)>,
    pub preempt: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_g_info {
    pub struct_size: u32,
    pub state: u32,
    pub g: thrum_g,
    pub domain: *mut thrum_domain,
    pub name: *const c_char,
    pub reason: *const c_char,
    pub since_ns: i64,
    pub arg: *mut c_void,
    pub stack_lo: *mut c_void,
    pub stack_hi: *mut c_void,
    pub sp: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_addr {
    pub opaque: [u64; 17],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_buf {
    pub base: *mut c_void,
    pub size: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_stat {
    pub struct_size: u32,
    pub kind: u32,
    pub size: u64,
    pub modified_ns: i64,
    pub device: u64,
    pub inode: u64,
    pub mode: u32,
    pub reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_process_opts {
    pub struct_size: u32,
    pub flags: u32,
    pub dir: *const c_char,
    pub env: *const *const c_char,
    pub stdio: [u32; 3],
    pub fds: [i32; 3],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_p_stats {
    pub struct_size: u32,
    pub p: u32,
    pub dispatches: u64,
    pub steals: u64,
    pub spawns: u64,
    pub parks: u64,
    pub handoffs: u64,
    pub retakes: u64,
    pub preemptions: u64,
    pub refusals: u64,
    pub preempt_ns: i64,
    pub allocs: u64,
    pub frees: u64,
    pub cross_frees: u64,
    pub alloc_bytes: u64,
    pub free_bytes: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_stall {
    pub struct_size: u32,
    pub state: u32,
    pub g: thrum_g,
    pub name: *const c_char,
    pub lasted_ns: i64,
    pub done: u32,
    pub frames: u32,
    pub pcs: *const u64,
    pub exact: u32,
    pub reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_stats {
    pub struct_size: u32,
    pub procs: u32,
    pub procs_idle: u32,
    pub threads: u32,
    pub threads_idle: u32,
    pub threads_spinning: u32,
    pub gs: u64,
    pub queued_global: u64,
    pub dispatches: u64,
    pub parks: u64,
    pub yields: u64,
    pub exits: u64,
    pub spawns: u64,
    pub steals: u64,
    pub handoffs: u64,
    pub retakes: u64,
    pub preemptions: u64,
    pub ready_p50_ns: u64,
    pub ready_p90_ns: u64,
    pub ready_p99_ns: u64,
    pub mutex_p50_ns: u64,
    pub mutex_p90_ns: u64,
    pub mutex_p99_ns: u64,
    pub timer_p50_ns: u64,
    pub timer_p90_ns: u64,
    pub timer_p99_ns: u64,
    pub net_kernel_p50_ns: u64,
    pub net_kernel_p90_ns: u64,
    pub net_kernel_p99_ns: u64,
    pub net_poll_p50_ns: u64,
    pub net_poll_p90_ns: u64,
    pub net_poll_p99_ns: u64,
    pub net_queue_p50_ns: u64,
    pub net_queue_p90_ns: u64,
    pub net_queue_p99_ns: u64,
    pub net_dispatch_p50_ns: u64,
    pub net_dispatch_p90_ns: u64,
    pub net_dispatch_p99_ns: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_waits {
    pub struct_size: u32,
    pub reserved: u32,
    pub ran_ns: u64,
    pub blocked_ns: u64,
    pub queued_ns: u64,
    pub kernel_ns: u64,
    pub throttled_ns: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_stuck {
    pub struct_size: u32,
    pub kind: u32,
    pub g: thrum_g,
    pub name: *const c_char,
    pub reason: *const c_char,
    pub object: *const c_void,
    pub on: thrum_g,
    pub frames: u32,
    pub reserved: u32,
    pub pcs: *const u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_debug_fact {
    pub name: [c_char; 24],
    pub value: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct thrum_debug {
    pub magic: [c_char; 16],
    pub struct_size: u32,
    pub fact_count: u32,
    pub facts: *const thrum_debug_fact,
    pub runtimes: *const *const c_void,
    pub states: *const c_char,
    pub reasons: *const c_char,
}

extern "C" {
    pub fn thrum_version() -> u32;
    pub fn thrum_version_string() -> *const c_char;
    pub fn thrum_build_info() -> *const c_char;
    pub fn thrum_strerror(code: c_int) -> *const c_char;
    pub fn thrum_errname(code: c_int) -> *const c_char;
    pub fn thrum_now() -> i64;
    pub fn thrum_after(ns: i64) -> i64;
    pub fn thrum_config_init(config: *mut thrum_config, struct_size: u32);
    pub fn thrum_rt_new(out: *mut *mut thrum_rt, config: *const thrum_config) -> c_int;
    pub fn thrum_rt_stop(rt: *mut thrum_rt, deadline_ns: i64) -> c_int;
    pub fn thrum_rt_retain(rt: *mut thrum_rt);
    pub fn thrum_rt_free(rt: *mut thrum_rt);
    pub fn thrum_rt_current() -> *mut thrum_rt;
    pub fn thrum_run(rt: *mut thrum_rt, fn_: thrum_fn, arg: *mut c_void) -> c_int;
    pub fn thrum_pump(rt: *mut thrum_rt, deadline_ns: i64) -> c_int;
    pub fn thrum_next_wake(rt: *mut thrum_rt) -> i64;
    pub fn thrum_wake_fd(rt: *mut thrum_rt) -> c_int;
    pub fn thrum_procs(rt: *mut thrum_rt) -> c_int;
    pub fn thrum_set_procs(rt: *mut thrum_rt, n: u32) -> c_int;
    pub fn thrum_available_procs() -> c_int;
    pub fn thrum_spawn(rt: *mut thrum_rt, opts: *const thrum_spawn_opts, fn_: thrum_fn, arg: *mut c_void, out: *mut thrum_g) -> c_int;
    pub fn thrum_join(rt: *mut thrum_rt, g: thrum_g, deadline_ns: i64) -> c_int;
    pub fn thrum_cancel(rt: *mut thrum_rt, g: thrum_g) -> c_int;
    pub fn thrum_cancelled() -> c_int;
    pub fn thrum_cancel_clear() -> c_int;
    pub fn thrum_shield(delta: i32) -> c_int;
    pub fn thrum_limit(deadline_ns: i64) -> i64;
    pub fn thrum_self() -> thrum_g;
    pub fn thrum_yield() -> c_int;
    pub fn thrum_sleep(ns: i64) -> c_int;
    pub fn thrum_check() -> c_int;
    pub fn thrum_enter_blocking() -> c_int;
    pub fn thrum_exit_blocking() -> c_int;
    pub fn thrum_lock_thread() -> c_int;
    pub fn thrum_unlock_thread() -> c_int;
    pub fn thrum_pin_cpu(mask: *const u64, words: u32) -> c_int;
    pub fn thrum_pin_threads(rt: *mut thrum_rt, mask: *const u64, words: u32) -> c_int;
    pub fn thrum_cpus(mask: *mut u64, words: u32) -> c_int;
    pub fn thrum_alloc(size: usize) -> *mut c_void;
    pub fn thrum_calloc(count: usize, size: usize) -> *mut c_void;
    pub fn thrum_realloc(p: *mut c_void, size: usize) -> *mut c_void;
    pub fn thrum_free(p: *mut c_void);
    pub fn thrum_alloc_aligned(size: usize, align: usize) -> *mut c_void;
    pub fn thrum_usable_size(p: *const c_void) -> usize;
    pub fn thrum_chan_new(elem_size: u32, capacity: u32, out: *mut *mut thrum_chan) -> c_int;
    pub fn thrum_chan_retain(ch: *mut thrum_chan);
    pub fn thrum_chan_release(ch: *mut thrum_chan);
    pub fn thrum_chan_send(ch: *mut thrum_chan, src: *const c_void, deadline_ns: i64) -> c_int;
    pub fn thrum_chan_recv(ch: *mut thrum_chan, dst: *mut c_void, deadline_ns: i64) -> c_int;
    pub fn thrum_chan_close(ch: *mut thrum_chan) -> c_int;
    pub fn thrum_chan_len(ch: *mut thrum_chan) -> u32;
    pub fn thrum_chan_cap(ch: *mut thrum_chan) -> u32;
    pub fn thrum_select(cases: *mut thrum_case, n: u32, deadline_ns: i64) -> c_int;
    pub fn thrum_mutex_lock(m: *mut thrum_mutex, deadline_ns: i64) -> c_int;
    pub fn thrum_mutex_unlock(m: *mut thrum_mutex) -> c_int;
    pub fn thrum_rwmutex_rlock(m: *mut thrum_rwmutex, deadline_ns: i64) -> c_int;
    pub fn thrum_rwmutex_runlock(m: *mut thrum_rwmutex) -> c_int;
    pub fn thrum_rwmutex_lock(m: *mut thrum_rwmutex, deadline_ns: i64) -> c_int;
    pub fn thrum_rwmutex_unlock(m: *mut thrum_rwmutex) -> c_int;
    pub fn thrum_cond_wait(c: *mut thrum_cond, m: *mut thrum_mutex, deadline_ns: i64) -> c_int;
    pub fn thrum_cond_signal(c: *mut thrum_cond) -> c_int;
    pub fn thrum_cond_broadcast(c: *mut thrum_cond) -> c_int;
    pub fn thrum_wg_add(wg: *mut thrum_wg, delta: i32) -> c_int;
    pub fn thrum_wg_done(wg: *mut thrum_wg) -> c_int;
    pub fn thrum_wg_wait(wg: *mut thrum_wg, deadline_ns: i64) -> c_int;
    pub fn thrum_sem_release(s: *mut thrum_sem, n: u32) -> c_int;
    pub fn thrum_sem_acquire(s: *mut thrum_sem, deadline_ns: i64) -> c_int;
    pub fn thrum_once_do(o: *mut thrum_once, fn_: thrum_fn, arg: *mut c_void) -> c_int;
    pub fn thrum_domain_new(rt: *mut thrum_rt, ops: *const thrum_domain_ops, arg: *mut c_void, out: *mut *mut thrum_domain) -> c_int;
    pub fn thrum_domain_retain(d: *mut thrum_domain);
    pub fn thrum_domain_release(d: *mut thrum_domain);
    pub fn thrum_domain_leave() -> c_int;
    pub fn thrum_domain_enter() -> c_int;
    pub fn thrum_domain_pump(d: *mut thrum_domain, deadline_ns: i64) -> c_int;
    pub fn thrum_domain_wake_fd(d: *mut thrum_domain) -> c_int;
    pub fn thrum_domain_close(d: *mut thrum_domain) -> c_int;
    pub fn thrum_park(reason: *const c_char, deadline_ns: i64) -> c_int;
    pub fn thrum_unpark(rt: *mut thrum_rt, g: thrum_g) -> c_int;
    pub fn thrum_local_new(drop: Option<unsafe extern "C" fn(*mut c_void)>, out: *mut u32) -> c_int;
    pub fn thrum_local_set(key: u32, value: *mut c_void) -> c_int;
    pub fn thrum_local_get(key: u32) -> *mut c_void;
    pub fn thrum_preempt_enable(rt: *mut thrum_rt, signo: c_int) -> c_int;
    pub fn thrum_preempt_disable(rt: *mut thrum_rt) -> c_int;
    pub fn thrum_preempt_region(lo: *const c_void, hi: *const c_void, flags: u32) -> c_int;
    pub fn thrum_preempt_forget(lo: *const c_void, hi: *const c_void) -> c_int;
    pub fn thrum_preempt_hold(delta: i32) -> c_int;
    pub fn thrum_overflow_enable(rt: *mut thrum_rt) -> c_int;
    pub fn thrum_overflow_disable(rt: *mut thrum_rt) -> c_int;
    pub fn thrum_g_each(rt: *mut thrum_rt, fn_: Option<unsafe extern "C" fn(*mut c_void, *const thrum_g_info)>, arg: *mut c_void) -> c_int;
    pub fn thrum_stack(lo: *mut *mut c_void, hi: *mut *mut c_void) -> c_int;
    pub fn thrum_on_thread(rt: *mut thrum_rt, start: Option<unsafe extern "C" fn(*mut c_void)>, stop: Option<unsafe extern "C" fn(*mut c_void)>, arg: *mut c_void) -> c_int;
    pub fn thrum_trim(rt: *mut thrum_rt) -> c_int;
    pub fn thrum_world_stop(rt: *mut thrum_rt, deadline_ns: i64) -> c_int;
    pub fn thrum_world_start(rt: *mut thrum_rt) -> c_int;
    pub fn thrum_chan_set_drop(ch: *mut thrum_chan, drop: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>, arg: *mut c_void) -> c_int;
    pub fn thrum_chan_each(ch: *mut thrum_chan, visit: Option<unsafe extern "C" fn(*mut c_void, *const c_void) -> c_int>, arg: *mut c_void) -> c_int;
    pub fn thrum_heap_new(out: *mut *mut thrum_heap) -> c_int;
    pub fn thrum_heap_alloc(heap: *mut thrum_heap, size: usize) -> *mut c_void;
    pub fn thrum_heap_calloc(heap: *mut thrum_heap, count: usize, size: usize) -> *mut c_void;
    pub fn thrum_heap_realloc(heap: *mut thrum_heap, p: *mut c_void, size: usize) -> *mut c_void;
    pub fn thrum_heap_free(heap: *mut thrum_heap, p: *mut c_void);
    pub fn thrum_heap_destroy(heap: *mut thrum_heap) -> c_int;
    pub fn thrum_addr_parse(out: *mut thrum_addr, text: *const c_char, port: u16) -> c_int;
    pub fn thrum_addr_text(addr: *const thrum_addr, text: *mut c_char, size: usize) -> c_int;
    pub fn thrum_addr_port(addr: *const thrum_addr) -> c_int;
    pub fn thrum_resolve(rt: *mut thrum_rt, host: *const c_char, port: u16, out: *mut thrum_addr, n: u32, deadline_ns: i64) -> c_int;
    pub fn thrum_tcp_listen(rt: *mut thrum_rt, host: *const c_char, port: u16, backlog: c_int, out: *mut *mut thrum_listener) -> c_int;
    pub fn thrum_listen(rt: *mut thrum_rt, at: *const thrum_addr, backlog: c_int, flags: u32, out: *mut *mut thrum_listener) -> c_int;
    pub fn thrum_listener_port(l: *const thrum_listener) -> u16;
    pub fn thrum_listener_fd(l: *const thrum_listener) -> c_int;
    pub fn thrum_accept(l: *mut thrum_listener, out: *mut *mut thrum_conn, deadline_ns: i64) -> c_int;
    pub fn thrum_listener_close(l: *mut thrum_listener) -> c_int;
    pub fn thrum_listener_release(l: *mut thrum_listener);
    pub fn thrum_tcp_dial(rt: *mut thrum_rt, host: *const c_char, port: u16, out: *mut *mut thrum_conn, deadline_ns: i64) -> c_int;
    pub fn thrum_dial(rt: *mut thrum_rt, to: *const thrum_addr, out: *mut *mut thrum_conn, deadline_ns: i64) -> c_int;
    pub fn thrum_conn_adopt(rt: *mut thrum_rt, fd: c_int, out: *mut *mut thrum_conn) -> c_int;
    pub fn thrum_conn_wait(c: *mut thrum_conn, events: c_int, deadline_ns: i64) -> c_int;
    pub fn thrum_conn_set_timeout(c: *mut thrum_conn, events: c_int, ns: i64) -> c_int;
    pub fn thrum_conn_timeout(c: *const thrum_conn, events: c_int) -> i64;
    pub fn thrum_read(c: *mut thrum_conn, buf: *mut c_void, n: usize, deadline_ns: i64) -> i64;
    pub fn thrum_write(c: *mut thrum_conn, buf: *const c_void, n: usize, deadline_ns: i64) -> i64;
    pub fn thrum_write_some(c: *mut thrum_conn, buf: *const c_void, n: usize, deadline_ns: i64) -> i64;
    pub fn thrum_readv(c: *mut thrum_conn, bufs: *const thrum_buf, n: u32, deadline_ns: i64) -> i64;
    pub fn thrum_writev(c: *mut thrum_conn, bufs: *const thrum_buf, n: u32, deadline_ns: i64) -> i64;
    pub fn thrum_sendfile(c: *mut thrum_conn, file_fd: c_int, offset: i64, n: usize, deadline_ns: i64) -> i64;
    pub fn thrum_conn_shutdown(c: *mut thrum_conn) -> c_int;
    pub fn thrum_conn_close(c: *mut thrum_conn) -> c_int;
    pub fn thrum_conn_retain(c: *mut thrum_conn);
    pub fn thrum_conn_release(c: *mut thrum_conn);
    pub fn thrum_conn_fd(c: *const thrum_conn) -> c_int;
    pub fn thrum_conn_local(c: *mut thrum_conn, out: *mut thrum_addr) -> c_int;
    pub fn thrum_conn_peer(c: *mut thrum_conn, out: *mut thrum_addr) -> c_int;
    pub fn thrum_conn_set(c: *mut thrum_conn, option: u32, value: c_int) -> c_int;
    pub fn thrum_udp_open(rt: *mut thrum_rt, at: *const thrum_addr, flags: u32, out: *mut *mut thrum_udp) -> c_int;
    pub fn thrum_udp_connect(u: *mut thrum_udp, to: *const thrum_addr) -> c_int;
    pub fn thrum_udp_send(u: *mut thrum_udp, buf: *const c_void, n: usize, to: *const thrum_addr, deadline_ns: i64) -> i64;
    pub fn thrum_udp_recv(u: *mut thrum_udp, buf: *mut c_void, n: usize, from: *mut thrum_addr, deadline_ns: i64) -> i64;
    pub fn thrum_udp_local(u: *mut thrum_udp, out: *mut thrum_addr) -> c_int;
    pub fn thrum_udp_fd(u: *const thrum_udp) -> c_int;
    pub fn thrum_udp_close(u: *mut thrum_udp) -> c_int;
    pub fn thrum_udp_release(u: *mut thrum_udp);
    pub fn thrum_poll_fd(rt: *mut thrum_rt, fd: c_int, events: c_int, deadline_ns: i64) -> c_int;
    pub fn thrum_fd_new(rt: *mut thrum_rt, fd: c_int, out: *mut *mut thrum_fd) -> c_int;
    pub fn thrum_fd_wait(f: *mut thrum_fd, events: c_int, deadline_ns: i64) -> c_int;
    pub fn thrum_fd_release(f: *mut thrum_fd);
    pub fn thrum_signal_notify(rt: *mut thrum_rt, signo: c_int, ch: *mut thrum_chan) -> c_int;
    pub fn thrum_signal_stop(rt: *mut thrum_rt, ch: *mut thrum_chan) -> c_int;
    pub fn thrum_file_open(path: *const c_char, flags: c_int, mode: u32) -> c_int;
    pub fn thrum_file_read(fd: c_int, buf: *mut c_void, n: usize, offset: i64) -> i64;
    pub fn thrum_file_write(fd: c_int, buf: *const c_void, n: usize, offset: i64) -> i64;
    pub fn thrum_file_sync(fd: c_int, data_only: c_int) -> c_int;
    pub fn thrum_file_truncate(fd: c_int, size: i64) -> c_int;
    pub fn thrum_file_close(fd: c_int) -> c_int;
    pub fn thrum_file_stat(path: *const c_char, follow: c_int, out: *mut thrum_stat) -> c_int;
    pub fn thrum_file_fstat(fd: c_int, out: *mut thrum_stat) -> c_int;
    pub fn thrum_file_rename(from: *const c_char, to: *const c_char) -> c_int;
    pub fn thrum_file_remove(path: *const c_char) -> c_int;
    pub fn thrum_dir_make(path: *const c_char, mode: u32) -> c_int;
    pub fn thrum_dir_list(path: *const c_char, fn_: Option<unsafe extern "C" fn(*mut c_void, *const c_char, u32) -> c_int>, arg: *mut c_void) -> c_int;
    pub fn thrum_process_new(rt: *mut thrum_rt, argv: *const *const c_char, opts: *const thrum_process_opts, out: *mut *mut thrum_process) -> c_int;
    pub fn thrum_process_pid(p: *const thrum_process) -> c_int;
    pub fn thrum_process_stdio(p: *const thrum_process, which: c_int) -> *mut thrum_conn;
    pub fn thrum_process_wait(p: *mut thrum_process, code: *mut c_int, signo: *mut c_int, deadline_ns: i64) -> c_int;
    pub fn thrum_process_kill(p: *mut thrum_process, signo: c_int) -> c_int;
    pub fn thrum_process_release(p: *mut thrum_process);
    pub fn thrum_p_each(rt: *mut thrum_rt, fn_: Option<unsafe extern "C" fn(*mut c_void, *const thrum_p_stats)>, arg: *mut c_void) -> c_int;
    pub fn thrum_live(rt: *mut thrum_rt) -> i64;
    pub fn thrum_memory_report(rt: *mut thrum_rt, text: *mut c_char, size: usize) -> i64;
    pub fn thrum_high_water(rt: *mut thrum_rt, g: thrum_g) -> i64;
    pub fn thrum_watchdog(rt: *mut thrum_rt, limit_ns: i64, fn_: Option<unsafe extern "C" fn(*mut c_void, *const thrum_stall)>, arg: *mut c_void) -> c_int;
    pub fn thrum_stats_get(rt: *mut thrum_rt, out: *mut thrum_stats) -> c_int;
    pub fn thrum_report(rt: *mut thrum_rt, report: u32, format: u32, text: *mut c_char, size: usize) -> i64;
    pub fn thrum_schedtrace(rt: *mut thrum_rt, every_ns: i64) -> c_int;
    pub fn thrum_debug_socket(rt: *mut thrum_rt, path: *const c_char) -> c_int;
    pub fn thrum_trace_start(rt: *mut thrum_rt, events: u64) -> c_int;
    pub fn thrum_trace_stop(rt: *mut thrum_rt) -> c_int;
    pub fn thrum_trace_write(rt: *mut thrum_rt, last_ns: i64, write: thrum_write_fn, arg: *mut c_void) -> i64;
    pub fn thrum_waits_start(rt: *mut thrum_rt, column_ns: i64) -> c_int;
    pub fn thrum_waits_get(rt: *mut thrum_rt, g: thrum_g, out: *mut thrum_waits) -> c_int;
    pub fn thrum_profile_rate(rt: *mut thrum_rt, profile: u32, rate: u32) -> c_int;
    pub fn thrum_profile_write(rt: *mut thrum_rt, profile: u32, format: u32, write: thrum_write_fn, arg: *mut c_void) -> i64;
    pub fn thrum_trace_on_stall(rt: *mut thrum_rt, path: *const c_char, last_ns: i64) -> c_int;
    pub fn thrum_stuck_each(rt: *mut thrum_rt, fn_: Option<unsafe extern "C" fn(*mut c_void, *const thrum_stuck)>, arg: *mut c_void) -> i64;
    pub fn thrum_stuck_report(rt: *mut thrum_rt) -> i64;
    pub fn thrum_chan_counted(ch: *mut thrum_chan) -> c_int;
    pub fn thrum_waker_add(rt: *mut thrum_rt, object: *const c_void, g: thrum_g) -> c_int;
    pub fn thrum_waker_remove(rt: *mut thrum_rt, object: *const c_void, g: thrum_g) -> c_int;
    pub fn thrum_trace_hash(rt: *mut thrum_rt) -> u64;
    pub fn thrum_sched_threads(rt: *mut thrum_rt, nice: i32, slice_ns: i64) -> c_int;
    pub fn thrum_os_report(rt: *mut thrum_rt, text: *mut c_char, size: usize) -> i64;
    pub static thrum_debug_table: thrum_debug;
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    use core::mem::{align_of, offset_of, size_of};
    assert!(size_of::<thrum_domain_ops>() == 48);
    assert!(align_of::<thrum_domain_ops>() == 8);
    assert!(offset_of!(thrum_domain_ops, struct_size) == 0);
    assert!(offset_of!(thrum_domain_ops, flags) == 4);
    assert!(offset_of!(thrum_domain_ops, handover_ns) == 8);
    assert!(offset_of!(thrum_domain_ops, acquire) == 16);
    assert!(offset_of!(thrum_domain_ops, release) == 24);
    assert!(offset_of!(thrum_domain_ops, switch_to) == 32);
    assert!(offset_of!(thrum_domain_ops, preempt) == 40);
    assert!(size_of::<thrum_g_info>() == 80);
    assert!(align_of::<thrum_g_info>() == 8);
    assert!(offset_of!(thrum_g_info, struct_size) == 0);
    assert!(offset_of!(thrum_g_info, state) == 4);
    assert!(offset_of!(thrum_g_info, g) == 8);
    assert!(offset_of!(thrum_g_info, domain) == 16);
    assert!(offset_of!(thrum_g_info, name) == 24);
    assert!(offset_of!(thrum_g_info, reason) == 32);
    assert!(offset_of!(thrum_g_info, since_ns) == 40);
    assert!(offset_of!(thrum_g_info, arg) == 48);
    assert!(offset_of!(thrum_g_info, stack_lo) == 56);
    assert!(offset_of!(thrum_g_info, stack_hi) == 64);
    assert!(offset_of!(thrum_g_info, sp) == 72);
    assert!(size_of::<thrum_addr>() == 136);
    assert!(align_of::<thrum_addr>() == 8);
    assert!(offset_of!(thrum_addr, opaque) == 0);
    assert!(size_of::<thrum_buf>() == 16);
    assert!(align_of::<thrum_buf>() == 8);
    assert!(offset_of!(thrum_buf, base) == 0);
    assert!(offset_of!(thrum_buf, size) == 8);
    assert!(size_of::<thrum_p_stats>() == 120);
    assert!(align_of::<thrum_p_stats>() == 8);
    assert!(offset_of!(thrum_p_stats, struct_size) == 0);
    assert!(offset_of!(thrum_p_stats, p) == 4);
    assert!(offset_of!(thrum_p_stats, dispatches) == 8);
    assert!(offset_of!(thrum_p_stats, steals) == 16);
    assert!(offset_of!(thrum_p_stats, spawns) == 24);
    assert!(offset_of!(thrum_p_stats, parks) == 32);
    assert!(offset_of!(thrum_p_stats, handoffs) == 40);
    assert!(offset_of!(thrum_p_stats, retakes) == 48);
    assert!(offset_of!(thrum_p_stats, preemptions) == 56);
    assert!(offset_of!(thrum_p_stats, refusals) == 64);
    assert!(offset_of!(thrum_p_stats, preempt_ns) == 72);
    assert!(offset_of!(thrum_p_stats, allocs) == 80);
    assert!(offset_of!(thrum_p_stats, frees) == 88);
    assert!(offset_of!(thrum_p_stats, cross_frees) == 96);
    assert!(offset_of!(thrum_p_stats, alloc_bytes) == 104);
    assert!(offset_of!(thrum_p_stats, free_bytes) == 112);
    assert!(size_of::<thrum_stall>() == 56);
    assert!(align_of::<thrum_stall>() == 8);
    assert!(offset_of!(thrum_stall, struct_size) == 0);
    assert!(offset_of!(thrum_stall, state) == 4);
    assert!(offset_of!(thrum_stall, g) == 8);
    assert!(offset_of!(thrum_stall, name) == 16);
    assert!(offset_of!(thrum_stall, lasted_ns) == 24);
    assert!(offset_of!(thrum_stall, done) == 32);
    assert!(offset_of!(thrum_stall, frames) == 36);
    assert!(offset_of!(thrum_stall, pcs) == 40);
    assert!(offset_of!(thrum_stall, exact) == 48);
    assert!(offset_of!(thrum_stall, reserved) == 52);
    assert!(size_of::<thrum_stats>() == 280);
    assert!(align_of::<thrum_stats>() == 8);
    assert!(offset_of!(thrum_stats, struct_size) == 0);
    assert!(offset_of!(thrum_stats, procs) == 4);
    assert!(offset_of!(thrum_stats, procs_idle) == 8);
    assert!(offset_of!(thrum_stats, threads) == 12);
    assert!(offset_of!(thrum_stats, threads_idle) == 16);
    assert!(offset_of!(thrum_stats, threads_spinning) == 20);
    assert!(offset_of!(thrum_stats, gs) == 24);
    assert!(offset_of!(thrum_stats, queued_global) == 32);
    assert!(offset_of!(thrum_stats, dispatches) == 40);
    assert!(offset_of!(thrum_stats, parks) == 48);
    assert!(offset_of!(thrum_stats, yields) == 56);
    assert!(offset_of!(thrum_stats, exits) == 64);
    assert!(offset_of!(thrum_stats, spawns) == 72);
    assert!(offset_of!(thrum_stats, steals) == 80);
    assert!(offset_of!(thrum_stats, handoffs) == 88);
    assert!(offset_of!(thrum_stats, retakes) == 96);
    assert!(offset_of!(thrum_stats, preemptions) == 104);
    assert!(offset_of!(thrum_stats, ready_p50_ns) == 112);
    assert!(offset_of!(thrum_stats, ready_p90_ns) == 120);
    assert!(offset_of!(thrum_stats, ready_p99_ns) == 128);
    assert!(offset_of!(thrum_stats, mutex_p50_ns) == 136);
    assert!(offset_of!(thrum_stats, mutex_p90_ns) == 144);
    assert!(offset_of!(thrum_stats, mutex_p99_ns) == 152);
    assert!(offset_of!(thrum_stats, timer_p50_ns) == 160);
    assert!(offset_of!(thrum_stats, timer_p90_ns) == 168);
    assert!(offset_of!(thrum_stats, timer_p99_ns) == 176);
    assert!(offset_of!(thrum_stats, net_kernel_p50_ns) == 184);
    assert!(offset_of!(thrum_stats, net_kernel_p90_ns) == 192);
    assert!(offset_of!(thrum_stats, net_kernel_p99_ns) == 200);
    assert!(offset_of!(thrum_stats, net_poll_p50_ns) == 208);
    assert!(offset_of!(thrum_stats, net_poll_p90_ns) == 216);
    assert!(offset_of!(thrum_stats, net_poll_p99_ns) == 224);
    assert!(offset_of!(thrum_stats, net_queue_p50_ns) == 232);
    assert!(offset_of!(thrum_stats, net_queue_p90_ns) == 240);
    assert!(offset_of!(thrum_stats, net_queue_p99_ns) == 248);
    assert!(offset_of!(thrum_stats, net_dispatch_p50_ns) == 256);
    assert!(offset_of!(thrum_stats, net_dispatch_p90_ns) == 264);
    assert!(offset_of!(thrum_stats, net_dispatch_p99_ns) == 272);
    assert!(size_of::<thrum_waits>() == 48);
    assert!(align_of::<thrum_waits>() == 8);
    assert!(offset_of!(thrum_waits, struct_size) == 0);
    assert!(offset_of!(thrum_waits, reserved) == 4);
    assert!(offset_of!(thrum_waits, ran_ns) == 8);
    assert!(offset_of!(thrum_waits, blocked_ns) == 16);
    assert!(offset_of!(thrum_waits, queued_ns) == 24);
    assert!(offset_of!(thrum_waits, kernel_ns) == 32);
    assert!(offset_of!(thrum_waits, throttled_ns) == 40);
    assert!(size_of::<thrum_stuck>() == 64);
    assert!(align_of::<thrum_stuck>() == 8);
    assert!(offset_of!(thrum_stuck, struct_size) == 0);
    assert!(offset_of!(thrum_stuck, kind) == 4);
    assert!(offset_of!(thrum_stuck, g) == 8);
    assert!(offset_of!(thrum_stuck, name) == 16);
    assert!(offset_of!(thrum_stuck, reason) == 24);
    assert!(offset_of!(thrum_stuck, object) == 32);
    assert!(offset_of!(thrum_stuck, on) == 40);
    assert!(offset_of!(thrum_stuck, frames) == 48);
    assert!(offset_of!(thrum_stuck, reserved) == 52);
    assert!(offset_of!(thrum_stuck, pcs) == 56);
    assert!(size_of::<thrum_debug_fact>() == 32);
    assert!(align_of::<thrum_debug_fact>() == 8);
    assert!(offset_of!(thrum_debug_fact, name) == 0);
    assert!(offset_of!(thrum_debug_fact, value) == 24);
    assert!(size_of::<thrum_debug>() == 56);
    assert!(align_of::<thrum_debug>() == 8);
    assert!(offset_of!(thrum_debug, magic) == 0);
    assert!(offset_of!(thrum_debug, struct_size) == 16);
    assert!(offset_of!(thrum_debug, fact_count) == 20);
    assert!(offset_of!(thrum_debug, facts) == 24);
    assert!(offset_of!(thrum_debug, runtimes) == 32);
    assert!(offset_of!(thrum_debug, states) == 40);
    assert!(offset_of!(thrum_debug, reasons) == 48);
    assert!(size_of::<thrum_stat>() == 48);
    assert!(align_of::<thrum_stat>() == 8);
    assert!(offset_of!(thrum_stat, struct_size) == 0);
    assert!(offset_of!(thrum_stat, kind) == 4);
    assert!(offset_of!(thrum_stat, size) == 8);
    assert!(offset_of!(thrum_stat, modified_ns) == 16);
    assert!(offset_of!(thrum_stat, device) == 24);
    assert!(offset_of!(thrum_stat, inode) == 32);
    assert!(offset_of!(thrum_stat, mode) == 40);
    assert!(offset_of!(thrum_stat, reserved) == 44);
    assert!(size_of::<thrum_process_opts>() == 48);
    assert!(align_of::<thrum_process_opts>() == 8);
    assert!(offset_of!(thrum_process_opts, struct_size) == 0);
    assert!(offset_of!(thrum_process_opts, flags) == 4);
    assert!(offset_of!(thrum_process_opts, dir) == 8);
    assert!(offset_of!(thrum_process_opts, env) == 16);
    assert!(offset_of!(thrum_process_opts, stdio) == 24);
    assert!(offset_of!(thrum_process_opts, fds) == 36);
    assert!(size_of::<thrum_allocator>() == 48);
    assert!(align_of::<thrum_allocator>() == 8);
    assert!(offset_of!(thrum_allocator, struct_size) == 0);
    assert!(offset_of!(thrum_allocator, reserved) == 4);
    assert!(offset_of!(thrum_allocator, arg) == 8);
    assert!(offset_of!(thrum_allocator, alloc) == 16);
    assert!(offset_of!(thrum_allocator, free) == 24);
    assert!(offset_of!(thrum_allocator, reserve) == 32);
    assert!(offset_of!(thrum_allocator, release) == 40);
    assert!(size_of::<thrum_config>() == 72);
    assert!(align_of::<thrum_config>() == 8);
    assert!(offset_of!(thrum_config, struct_size) == 0);
    assert!(offset_of!(thrum_config, procs) == 4);
    assert!(offset_of!(thrum_config, max_threads) == 8);
    assert!(offset_of!(thrum_config, flags) == 12);
    assert!(offset_of!(thrum_config, stack_size) == 16);
    assert!(offset_of!(thrum_config, slice_ns) == 24);
    assert!(offset_of!(thrum_config, seed) == 32);
    assert!(offset_of!(thrum_config, sysmon_ns) == 40);
    assert!(offset_of!(thrum_config, idle_ns) == 48);
    assert!(offset_of!(thrum_config, allocator) == 56);
    assert!(offset_of!(thrum_config, max_procs) == 64);
    assert!(offset_of!(thrum_config, place) == 68);
    assert!(size_of::<thrum_spawn_opts>() == 48);
    assert!(align_of::<thrum_spawn_opts>() == 8);
    assert!(offset_of!(thrum_spawn_opts, struct_size) == 0);
    assert!(offset_of!(thrum_spawn_opts, affinity) == 4);
    assert!(offset_of!(thrum_spawn_opts, stack_size) == 8);
    assert!(offset_of!(thrum_spawn_opts, name) == 16);
    assert!(offset_of!(thrum_spawn_opts, drop) == 24);
    assert!(offset_of!(thrum_spawn_opts, priority) == 32);
    assert!(offset_of!(thrum_spawn_opts, flags) == 36);
    assert!(offset_of!(thrum_spawn_opts, domain) == 40);
    assert!(size_of::<thrum_case>() == 24);
    assert!(align_of::<thrum_case>() == 8);
    assert!(offset_of!(thrum_case, chan) == 0);
    assert!(offset_of!(thrum_case, elem) == 8);
    assert!(offset_of!(thrum_case, op) == 16);
    assert!(offset_of!(thrum_case, result) == 20);
    assert!(size_of::<thrum_mutex>() == 32);
    assert!(align_of::<thrum_mutex>() == 8);
    assert!(offset_of!(thrum_mutex, opaque) == 0);
    assert!(size_of::<thrum_rwmutex>() == 64);
    assert!(align_of::<thrum_rwmutex>() == 8);
    assert!(offset_of!(thrum_rwmutex, opaque) == 0);
    assert!(size_of::<thrum_cond>() == 32);
    assert!(align_of::<thrum_cond>() == 8);
    assert!(offset_of!(thrum_cond, opaque) == 0);
    assert!(size_of::<thrum_wg>() == 32);
    assert!(align_of::<thrum_wg>() == 8);
    assert!(offset_of!(thrum_wg, opaque) == 0);
    assert!(size_of::<thrum_sem>() == 32);
    assert!(align_of::<thrum_sem>() == 8);
    assert!(offset_of!(thrum_sem, opaque) == 0);
    assert!(size_of::<thrum_once>() == 32);
    assert!(align_of::<thrum_once>() == 8);
    assert!(offset_of!(thrum_once, opaque) == 0);
};

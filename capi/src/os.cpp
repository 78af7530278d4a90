// SPDX-License-Identifier: MIT
#include "thrum/os.h"

#include <string.h>

#include "chan/chan.hpp"
#include "mem/heap.hpp"
#include "net/handoff.hpp"
#include "net/poller.hpp"
#include "net/process.hpp"
#include "net/signal.hpp"
#include "translate.hpp"

using namespace thrum;
using namespace thrum::capi;

static_assert(THRUM_KIND_FILE == static_cast<u32>(os::Kind::file) &&
              THRUM_KIND_OTHER == static_cast<u32>(os::Kind::other));

namespace {

Chan* core(thrum_chan* ch) { return reinterpret_cast<Chan*>(ch); }

int write_stat(int err, const os::Stat& st, thrum_stat* out) {
  if (!err) {
    thrum_stat full{};
    u32 size = min(out->struct_size, u32{sizeof full});
    full.struct_size = size;
    full.kind = static_cast<u32>(st.kind);
    full.size = st.size;
    full.modified_ns = st.modified;
    full.device = st.device;
    full.inode = st.inode;
    full.mode = st.mode;
    memcpy(out, &full, size);
  }
  return err;
}

// Names of a directory, one behind the other: the kind, the text, a zero.
struct Names {
  char* text;
  size_t size, room;
  bool no_memory;
};

bool keep_name(void* arg, const char* name, os::Kind kind) {
  auto* names = static_cast<Names*>(arg);
  size_t n = strlen(name) + 2;
  if (names->size + n > names->room) {
    size_t room = max(2 * names->room, names->size + n + 4096);
    auto* more = static_cast<char*>(mem::realloc(names->text, room));
    if (!more) {
      names->no_memory = true;
      return false;
    }
    names->text = more;
    names->room = room;
  }
  names->text[names->size] = static_cast<char>(kind);
  memcpy(names->text + names->size + 1, name, n - 1);
  names->size += n;
  return true;
}

Process* core(thrum_process* p) { return reinterpret_cast<Process*>(p); }
const Process* core(const thrum_process* p) {
  return reinterpret_cast<const Process*>(p);
}

int refused(const thrum_process* p) {
  return !p                                      ? int{kEINVAL}
         : forked(poller_rt(core(p)->fd.poller)) ? kEFORKED
                                                 : 0;
}

}  // namespace

extern "C" {

// ---- signals ---------------------------------------------------------------------

int thrum_signal_notify(thrum_rt* rt, int signo, thrum_chan* ch) {
  if (!ch || core(ch)->elem_size != sizeof(int32_t) || signo <= 0) {
    return kEINVAL;
  }
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? signal_notify(e.m, r, signo, core(ch)) : no_rt(rt);
}

int thrum_signal_stop(thrum_rt* rt, thrum_chan* ch) {
  if (!ch) {
    return kEINVAL;
  }
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? signal_stop(e.m, r, core(ch)) : no_rt(rt);
}

// ---- files -----------------------------------------------------------------------

int thrum_file_open(const char* path, int flags, uint32_t mode) {
  return path ? handed_off([=] { return os::file_open(path, flags, mode); })
              : kEINVAL;
}

int64_t thrum_file_read(int fd, void* buf, size_t n, int64_t offset) {
  return buf || !n
             ? handed_off([=] { return os::file_read(fd, buf, n, offset); })
             : kEINVAL;
}

int64_t thrum_file_write(int fd, const void* buf, size_t n, int64_t offset) {
  return buf || !n
             ? handed_off([=] { return os::file_write(fd, buf, n, offset); })
             : kEINVAL;
}

int thrum_file_sync(int fd, int data_only) {
  return handed_off([=] { return os::file_sync(fd, data_only != 0); });
}

int thrum_file_truncate(int fd, int64_t size) {
  return handed_off([=] { return os::file_truncate(fd, size); });
}

int thrum_file_close(int fd) {
  return handed_off([=] { return os::fd_close(fd); });
}

int thrum_file_stat(const char* path, int follow, thrum_stat* out) {
  if (!path || !out || out->struct_size < sizeof out->struct_size) {
    return kEINVAL;
  }
  os::Stat st{};
  int err = handed_off([&] { return os::file_stat(path, follow != 0, &st); });
  return write_stat(err, st, out);
}

int thrum_file_fstat(int fd, thrum_stat* out) {
  if (!out || out->struct_size < sizeof out->struct_size) {
    return kEINVAL;
  }
  os::Stat st{};
  int err = handed_off([&] { return os::file_fstat(fd, &st); });
  return write_stat(err, st, out);
}

int thrum_file_rename(const char* from, const char* to) {
  return from && to ? handed_off([=] { return os::file_rename(from, to); })
                    : kEINVAL;
}

int thrum_file_remove(const char* path) {
  return path ? handed_off([=] { return os::file_remove(path); }) : kEINVAL;
}

int thrum_dir_make(const char* path, uint32_t mode) {
  return path ? handed_off([=] { return os::dir_make(path, mode); }) : kEINVAL;
}

int thrum_dir_list(const char* path,
                   int (*fn)(void* arg, const char* name, uint32_t kind),
                   void* arg) {
  if (!path || !fn) {
    return kEINVAL;
  }
  Names names{};
  int result =
      handed_off([&] { return os::dir_list(path, keep_name, &names); });
  result = names.no_memory ? int{kENOMEM} : result;
  for (size_t at = 0; at < names.size && !result;) {
    const char* name = names.text + at + 1;
    result = fn(arg, name, static_cast<u8>(names.text[at]));
    at += strlen(name) + 2;
  }
  mem::free(names.text);
  return result;
}

// ---- processes -----------------------------------------------------------------------

int thrum_process_new(thrum_rt* rt, const char* const* argv,
                      const thrum_process_opts* opts, thrum_process** out) {
  if (!out) {
    return kEINVAL;
  }
  *out = nullptr;
  thrum_process_opts o{};
  if (opts) {
    if (int err = read_struct(o, opts)) {
      return err;
    }
  }
  if (!argv || !argv[0] || (o.flags & ~THRUM_PROCESS_GROUP)) {
    return kEINVAL;
  }
  for (int i = 0; i < 3; ++i) {
    if (o.stdio[i] > THRUM_STDIO_FD ||
        (o.stdio[i] == THRUM_STDIO_FD && o.fds[i] < 0)) {
      return kEINVAL;
    }
  }
  Runtime* r;
  {
    Enter e;
    r = rt_or_own(e.m, rt);
  }
  if (!r) {
    return no_rt(rt);
  }
  os::ProcessOptions start{argv[0], argv, o.env, o.dir, {}, o.flags != 0};
  bool piped[3];
  for (int i = 0; i < 3; ++i) {
    piped[i] = o.stdio[i] == THRUM_STDIO_PIPE;
    start.fds[i] = o.stdio[i] == THRUM_STDIO_FD     ? o.fds[i]
                   : o.stdio[i] == THRUM_STDIO_NULL ? -1
                                                    : i;
  }
  return process_new(r, start, piped, reinterpret_cast<Process**>(out));
}

int thrum_process_pid(const thrum_process* p) {
  return p ? core(p)->pid : kEINVAL;
}

thrum_conn* thrum_process_stdio(const thrum_process* p, int which) {
  return p && which >= 0 && which < 3
             ? reinterpret_cast<thrum_conn*>(core(p)->stdio[which])
             : nullptr;
}

int thrum_process_wait(thrum_process* p, int* code, int* signo,
                       int64_t deadline_ns) {
  if (int err = refused(p)) {
    return err;
  }
  EnterParking e(deadline_ns);
  int c = 0;
  int s = 0;
  int err = process_wait(e.m, core(p), deadline_ns, &c, &s);
  if (!err && code) {
    *code = c;
  }
  if (!err && signo) {
    *signo = s;
  }
  return err;
}

int thrum_process_kill(thrum_process* p, int signo) {
  int err = refused(p);
  return err ? err : process_kill(core(p), signo);
}

void thrum_process_release(thrum_process* p) {
  if (!p) {
    return;
  }
  if (refused(p)) {
    return process_release_copy(core(p));
  }
  Enter e;
  process_release(e.m, core(p));
}

}  // extern "C"

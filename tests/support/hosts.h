/* hosts.h: for tests that run thrum in a host of another language. */
#ifndef THRUM_TESTS_HOSTS_H
#define THRUM_TESTS_HOSTS_H

#include "check.h"

#include <libgen.h>
#include <limits.h>

#include "child.h"

/* A file beside the test program's source. */
#define beside(name, path, size) hosts_beside(__FILE__, name, path, size)
static inline int hosts_beside(const char* file, const char* name, char* path,
                               size_t size) {
  char self[PATH_MAX], source[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0)
    return 0;
  self[n] = 0;
  snprintf(source, sizeof source, "%s", file);
  const char *folder = dirname(source), *program = dirname(self);
  snprintf(path, size, "%s/%s", folder, name);
  if (access(path, R_OK) == 0)
    return 1;
  /* The compiler was called in the build folder, one above the programs. */
  snprintf(path, size, "%s/../%s/%s", program, folder, name);
  return access(path, R_OK) == 0;
}

/* Runs a shell command; what it prints goes to child.out. */
static inline void run_command(const char* command) {
  FILE* p = popen(command, "r");
  REQUIRE(p != NULL);
  size_t n = fread(child.out, 1, sizeof child.out - 1, p);
  child.out[n] = 0;
  int status = pclose(p);
  child.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  child.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
static inline const char* library(void) {
  const char* path = getenv("THRUM_LIB");
  return path && access(path, R_OK) == 0 ? path : NULL;
}

/* The newest Go that is installed: Debian's versioned packages put nothing on
 * the path. */
static inline int find_go(char* go, size_t size) {
  run_command("for go in \"$(command -v go 2>/dev/null)\" "
              "$(ls -d /usr/lib/go-*/bin/go 2>/dev/null | sort -rV) "
              "/usr/local/go/bin/go; do"
              "  if [ -n \"$go\" ] && \"$go\" version >/dev/null 2>&1; then"
              "    printf %s \"$go\"; break;"
              "  fi; "
              "done");
  snprintf(go, size, "%.4000s", child.out);
  return *go != 0;
}
static inline void go_host(const char* file, const char* name, const char* go,
                           const char* folder) {
  static char source[2 * PATH_MAX], header[2 * PATH_MAX], command[8 * PATH_MAX];
  REQUIRE(hosts_beside(file, name, source, sizeof source));
  REQUIRE(hosts_beside(file, "../../capi/include/thrum/host.h", header,
                       sizeof header));
  header[strlen(header) - strlen("thrum/host.h")] = 0;
  /* The default cache if there is one: the standard library takes a minute. */
  snprintf(
      command, sizeof command,
      "cd '%s' && if [ -z \"$GOCACHE\" ] && ! [ -w \"${HOME:-/nowhere}\" ]; "
      "then export GOCACHE='%s/cache'; fi; "
      "inc=$(realpath '%s') && src=$(realpath '%s') && "
      "CGO_ENABLED=1 CGO_CFLAGS=\"-O2 -I$inc\" GOFLAGS= GOWORK=off "
      "GO111MODULE=off GOTOOLCHAIN=local "
      "'%s' build -o '%s/host' \"$src\" 2>&1",
      ".", folder, header, source, go, folder);
  run_command(command);
  if (child.code != 0) {
    static char reason[200];
    snprintf(reason, sizeof reason, "go cannot build a cgo program: %.120s",
             child.out);
    reason[strcspn(reason, "\n")] = 0;
    check_skipped = reason;
    return;
  }
  snprintf(command, sizeof command, "timeout 100 '%s/host' '%s' 2>&1", folder,
           library());
  run_command(command);
  (void)child_skipped();
}
/* Builds and runs it: child.code, .out. Or the case is skipped. */
#define run_go_host(name) hosts_run_go(__FILE__, name)
static inline void hosts_run_go(const char* file, const char* name) {
  static char go[PATH_MAX];
  char folder[] = "/tmp/thrum-go-XXXXXX", clean[100];
  if (!library())
    SKIP("$THRUM_LIB does not name the shared library");
  if (CHECK_ASAN)
    SKIP("a Go program cannot load a library that is built for ASan");
  if (!find_go(go, sizeof go))
    SKIP("Go is not installed");
  alarm(280); /* a cold cache */
  REQUIRE(mkdtemp(folder) != NULL);
  go_host(file, name, go, folder);
  snprintf(clean, sizeof clean, "rm -rf '%s'", folder);
  CHECK_EQ(system(clean), 0);
}

#endif

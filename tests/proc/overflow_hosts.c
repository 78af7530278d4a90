/* overflow_hosts.c: a G runs over the end of its stack in a process whose language
 * has a handler of its own for SIGSEGV: Python's faulthandler, Go. */
#include "../support/check.h"

#include "../support/hosts.h"
#include "../support/rt.h"

static int begins(const char* text) {
  return strncmp(text, "thrum: stack overflow: G ",
                 strlen("thrum: stack overflow: G ")) == 0;
}

TEST(python_and_its_faulthandler) {
  static char script[2 * PATH_MAX], command[4 * PATH_MAX];
  if (!library())
    SKIP("$THRUM_LIB does not name the shared library");
  if (CHECK_SANITIZED)
    SKIP("Python cannot load a library that is built for a sanitizer");
  if (system("command -v python3 >/dev/null 2>&1") != 0)
    SKIP("python3 is not installed");
  REQUIRE(beside("overflow_host.py", script, sizeof script));
  static const char* const modes[] = {"none", "before", "after"};
  for (int i = 0; i < 3; i++) {
    check_context = modes[i];
    snprintf(command, sizeof command, "exec python3 '%s' '%s' %s 2>&1", script,
             library(), modes[i]);
    run_command(command);
    if (child_skipped())
      return;
    CHECK_MSG(child.signal == SIGSEGV, "status %d, signal %d: %.600s",
              child.code, child.signal, child.out);
    /* Over ours it raises the signal once more, and the address is lost. */
    CHECK_MSG(begins(child.out) == (i < 2), "it says: %.600s", child.out);
    CHECK_MSG((strstr(child.out, "Fatal Python error") != NULL) == (i > 0),
              "it says: %.600s", child.out);
  }
}

TEST(a_go_host) {
  if (CHECK_SANITIZED)
    SKIP("a Go program cannot load a library that is built for a sanitizer");
  run_go_host("overflow_host.go");
  if (check_skipped)
    return;
  CHECK_MSG(child.code == 2 && begins(child.out) &&
                strstr(child.out, "SIGSEGV: segmentation violation"),
            "status %d, signal %d: %.900s", child.code, child.signal,
            child.out);
}

static const struct check_case cases[] = {CASE(python_and_its_faulthandler),
                                          CASE(a_go_host)};
CHECK_MAIN(cases)

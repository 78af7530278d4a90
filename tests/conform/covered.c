/* covered.c: the list of scenarios is whole: every line has its four fields, no
 * name comes twice, and every C case that it names exists. The list lies beside
 * this file; the programs lie beside this one. */
#include "../support/check.h"

#include <libgen.h>
#include <limits.h>

static char list_path[3 * PATH_MAX], program_dir[PATH_MAX];

static int find_list(void) {
  static char here[] = __FILE__;
  char self[PATH_MAX], source[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0)
    return 0;
  self[n] = 0;
  snprintf(program_dir, sizeof program_dir, "%s", dirname(self));
  snprintf(source, sizeof source, "%s", here);
  char* beside = dirname(source);
  /* The compiler was called in the build folder, one above the programs. */
  const char* const forms[] = {"%s%s/scenarios.txt", "%s/../%s/scenarios.txt"};
  for (int i = 0; i < 2; i++) {
    if (i == 0)
      snprintf(list_path, sizeof list_path, forms[0], "", beside);
    else
      snprintf(list_path, sizeof list_path, forms[1], program_dir, beside);
    if (access(list_path, R_OK) == 0)
      return 1;
  }
  return 0;
}

static char* trim(char* text) {
  while (*text == ' ')
    text++;
  char* end = text + strlen(text);
  while (end > text && (end[-1] == ' ' || end[-1] == '\n'))
    *--end = 0;
  return text;
}
/* suite/program:case */
static int case_exists(const char* what) {
  char suite[64], program[64], name[128], command[PATH_MAX + 200], line[256];
  if (sscanf(what, "%63[a-z]/%63[a-z_]:%127[a-z_0-9]", suite, program, name) !=
      3)
    return 0;
  snprintf(command, sizeof command, "'%.3000s/%s_%s' --list 2>/dev/null",
           program_dir, suite, program);
  FILE* p = popen(command, "r");
  int found = 0;
  if (!p)
    return 0;
  while (fgets(line, sizeof line, p))
    found |= strcmp(trim(line), name) == 0;
  return pclose(p) == 0 && found;
}

TEST(scenarios) {
  static char names[400][64];
  char line[1024];
  int n = 0;
  if (!find_list())
    SKIP("scenarios.txt is not where this was compiled");
  if (strchr(program_dir, '\''))
    SKIP("the folder of the programs cannot be quoted");
  FILE* f = fopen(list_path, "re");
  REQUIRE(f != NULL);
  while (fgets(line, sizeof line, f)) {
    char *field[4], *rest = line;
    int fields = 0;
    if (*line == '#' || *line == '\n')
      continue;
    CHECK_MSG(strchr(line, '\n') != NULL, "a line is too long: %.60s", line);
    while (fields < 4 && rest) {
      char* next = strstr(rest, " | ");
      if (next) {
        *next = 0;
        next += 3;
      }
      field[fields++] = trim(rest);
      rest = next;
    }
    CHECK_MSG(fields == 4 && !rest, "\"%.60s\" has %d fields", line, fields);
    if (fields != 4)
      continue;
    CHECK_MSG(strchr(field[0], '.') && strlen(field[0]) < 64,
              "%.60s is no name", field[0]);
    CHECK_MSG(strcmp(field[1], "all") == 0 || strcmp(field[1], "c") == 0 ||
                  strcmp(field[1], "host") == 0,
              "%s is for \"%s\"", field[0], field[1]);
    CHECK_MSG(strlen(field[2]) > 10, "%s expects \"%s\"", field[0], field[2]);
    for (int i = 0; i < n; i++)
      CHECK_MSG(strcmp(names[i], field[0]) != 0, "%s comes twice", field[0]);
    REQUIRE(n < 400);
    snprintf(names[n++], sizeof names[0], "%.63s", field[0]);
    if (strcmp(field[3], "-") == 0)
      continue;
    for (char* what = strtok(field[3], ","); what; what = strtok(NULL, ","))
      CHECK_MSG(case_exists(trim(what)), "%s: there is no case %s", field[0],
                what);
  }
  fclose(f);
  CHECK_LE(100, n);
}

static const struct check_case cases[] = {CASE(scenarios)};
CHECK_MAIN(cases)

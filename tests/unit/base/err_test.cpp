// The list itself; names and texts through the C ABI are tests/capi's.
#include <doctest/doctest.h>
#include <string.h>

#include "base/err.hpp"

namespace {

struct Row {
  const char* name;
  int number;
  const char* text;
};

const Row kRows[] = {
#define THRUM_ERR(NAME, NUMBER, TEXT) {#NAME, NUMBER, TEXT},
#include "base/err.def"
#undef THRUM_ERR
};

}  // namespace

TEST_CASE("err: numbers are negative, names and numbers unique") {
  for (const Row& a : kRows) {
    CHECK(a.number < 0);
    CHECK(a.name[0] == 'E');
    CHECK(strlen(a.text) > 3);
    for (const Row& b : kRows) {
      bool other = &a != &b;
      CHECK_FALSE((other && a.number == b.number));
      CHECK_FALSE((other && strcmp(a.name, b.name) == 0));
    }
  }
}

TEST_CASE("err: Linux's numbers, thrum's own from -1001 without a gap") {
  int least = 0, own = 0;
  for (const Row& r : kRows) {
    CHECK((r.number > -200 || r.number <= -1001));
    own += r.number <= -1001;
    least = r.number < least ? r.number : least;
  }
  CHECK(least == -1000 - own);
  CHECK(thrum::kOk == 0);
  CHECK(thrum::kEINVAL == -22);
  CHECK(thrum::kETIMEDOUT == -110);
  CHECK(thrum::kECANCELED == -125);
  CHECK(thrum::kENOTG == -1001);
  CHECK(thrum::kESTALE == -1002);
  CHECK(thrum::kECLOSED == -1003);
  CHECK(thrum::kEDEADLOCK == -1004);
}

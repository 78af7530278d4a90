#include "mem/group_heap.hpp"

#include <string.h>

#include "../unit.hpp"

using thrum::mem::GroupHeap;

TEST_CASE("a group heap frees what is left, and what it is told to") {
  GroupHeap* heap = GroupHeap::make();
  REQUIRE(heap);
  char* p[1000];
  for (size_t i = 0; i < 1000; ++i) {
    p[i] = static_cast<char*>(i % 2 ? heap->alloc(i, nullptr)
                                    : heap->zalloc(i, 3, nullptr));
    REQUIRE(p[i]);
    CHECK(reinterpret_cast<uintptr_t>(p[i]) % 16 == 0);
    memset(p[i], static_cast<int>(i), i);
  }
  for (size_t i = 0; i < 1000; i += 3) {
    heap->free(p[i]);
  }
  for (size_t i = 1; i < 1000; i += 3) {
    p[i] = static_cast<char*>(heap->realloc(p[i], 2 * i + 1, nullptr));
    for (size_t k = 0; k < i; ++k) {
      REQUIRE(p[i][k] == static_cast<char>(i));
    }
  }
  GroupHeap::destroy(heap);
}

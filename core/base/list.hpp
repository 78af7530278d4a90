// Intrusive FIFO over a `next` field. No allocation, no lock: the owner of the
// list says who guards it.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum {

template <class T>
struct Fifo {
  T* head = nullptr;
  T* tail = nullptr;
  u32 count = 0;

  bool empty() const { return head == nullptr; }

  void push(T* t) {
    t->next = nullptr;
    if (tail) {
      tail->next = t;
    } else {
      head = t;
    }
    tail = t;
    ++count;
  }

  T* pop() {
    T* t = head;
    if (t) {
      head = t->next;
      if (!head) {
        tail = nullptr;
      }
      --count;
    }
    return t;
  }

  // Appends all of `other` and leaves it empty.
  void splice(Fifo& other) {
    if (other.empty()) {
      return;
    }
    if (tail) {
      tail->next = other.head;
    } else {
      head = other.head;
    }
    tail = other.tail;
    count += other.count;
    other = Fifo{};
  }
};

}  // namespace thrum

// A way to private members that the language allows (an explicit instantiation
// is not checked for access): the indices of a queue, to begin near their wrap.
#pragma once

#define UNIT_REACH(name, Class, Type, member)          \
  struct Tag_##name {                                  \
    friend Type Class::*name(Tag_##name);              \
  };                                                   \
  template <Type Class::*M>                            \
  struct Reach_##name {                                \
    friend Type Class::*name(Tag_##name) { return M; } \
  };                                                   \
  template struct Reach_##name<&Class::member>

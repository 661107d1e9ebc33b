#pragma once

namespace dolly4j {
namespace {

// `total` things in parts as equal as can be, each of up to `most`: of 7 things, 4 and 3.
struct Parts {
  int count;
  int size_each;
  int larger;  // how many parts, the first ones, have one more

  Parts(int total, int most) : count((total + most - 1) / most), size_each(total / count), larger(total % count) {}

  int first(int part) const { return part * size_each + (part < larger ? part : larger); }
  int size(int part) const { return size_each + (part < larger ? 1 : 0); }
};

}  // namespace
}  // namespace dolly4j

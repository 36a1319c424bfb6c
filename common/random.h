// Our own seeded generator: the standard leaves distributions and shuffles open, so they decide nothing that is
// stored, sent or simulated.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace dolmen {

// xoshiro256** (Blackman and Vigna), seeded through splitmix64. Same seed, same sequence, on every platform.
// One thread only.
class Random {
 public:
  explicit Random(uint64_t seed);

  uint64_t Next();
  // Uniform in [0, bound); bound >= 1. Unbiased (rejection).
  uint64_t Uniform(uint64_t bound);
  // Uniform in [low, high], both included; low <= high.
  uint64_t Between(uint64_t low, uint64_t high);
  // True once in n times on average; n >= 1.
  bool OneIn(uint64_t n);
  // Uniform in [0, 1).
  double Fraction();
  // `size` random bytes.
  std::string Bytes(size_t size);
  // A random (version 4) uuid as 36 characters of text.
  std::string Uuid();
  // An independent generator, for a part of the system that must not disturb the others' sequences.
  Random Fork() { return Random(Next()); }

  // Fisher-Yates.
  template <typename T>
  void Shuffle(std::span<T> items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[Uniform(i)]);
  }

 private:
  uint64_t state_[4];
};

// A seed from the operating system, for processes (tests pass their own).
uint64_t SeedFromOs();

}  // namespace dolmen

#include "common/random.h"

#include <errno.h>
#include <sys/random.h>

#include <bit>

#include "common/check.h"

namespace dolmen {
namespace {

// splitmix64: spreads any seed, 0 included, over the whole state.
uint64_t SplitMix(uint64_t* state) {
  *state += 0x9E3779B97F4A7C15;
  uint64_t mixed = *state;
  mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
  return mixed ^ (mixed >> 31);
}

}  // namespace

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) word = SplitMix(&seed);
}

uint64_t Random::Next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

uint64_t Random::Uniform(uint64_t bound) {
  DOLMEN_CHECK(bound >= 1, "Uniform(0) has no answer");
  // Draws below 2^64 mod bound would make the small answers more likely.
  const uint64_t first_fair = (uint64_t{0} - bound) % bound;
  for (;;) {
    const uint64_t drawn = Next();
    if (drawn >= first_fair) return drawn % bound;
  }
}

uint64_t Random::Between(uint64_t low, uint64_t high) {
  DOLMEN_CHECK(low <= high, "Between: low > high");
  const uint64_t span = high - low;
  return span == UINT64_MAX ? Next() : low + Uniform(span + 1);
}

bool Random::OneIn(uint64_t n) { return Uniform(n) == 0; }

double Random::Fraction() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

std::string Random::Bytes(size_t size) {
  std::string bytes(size, '\0');
  uint64_t word = 0;
  for (size_t i = 0; i < size; ++i) {
    if (i % 8 == 0) word = Next();
    bytes[i] = static_cast<char>(word >> (8 * (i % 8)));
  }
  return bytes;
}

std::string Random::Uuid() {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string raw = Bytes(16);
  raw[6] = static_cast<char>((raw[6] & 0x0F) | 0x40);
  raw[8] = static_cast<char>((raw[8] & 0x3F) | 0x80);
  std::string text;
  text.reserve(36);
  for (size_t i = 0; i < raw.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    const auto byte = static_cast<unsigned char>(raw[i]);
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

uint64_t SeedFromOs() {
  uint64_t seed = 0;
  for (;;) {
    const ssize_t got = getrandom(&seed, sizeof seed, 0);
    if (got == sizeof seed) return seed;
    DOLMEN_CHECK(got >= 0 || errno == EINTR, "getrandom failed");
  }
}

}  // namespace dolmen

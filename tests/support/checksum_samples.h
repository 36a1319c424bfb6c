// File checksums computed with another program (Python's hashlib and a table-driven CRC32C after the rules of HDFS),
// for files whose bytes follow from their length.
#pragma once

#include <cstdint>
#include <string>

namespace dolmen::testing {

// Byte i is 7 * i + i / 251, modulo 256.
inline std::string ChecksumSample(uint64_t length) {
  std::string bytes(length, '\0');
  for (uint64_t i = 0; i < length; ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  return bytes;
}

struct KnownFileChecksum {
  uint64_t length;
  uint32_t bytes_per_crc;
  uint64_t crc_per_block;
  const char* md5;
};

// In blocks of 1024 bytes.
inline constexpr KnownFileChecksum kChecksumsOfSmallBlocks[] = {
    {0, 0, 0, "70bc8f4b72a86921468bf8e8441dce51"},      {1, 512, 0, "dc236201841049096ad31b6213203a90"},
    {511, 512, 0, "f6dd1e6f67e1dec11581bcc695a6ee2e"},  {512, 512, 0, "3380bf08d38bbd627f91b55a4fb95b72"},
    {513, 512, 0, "f00f2403deacead866df85ed37330289"},  {1023, 512, 0, "f3357d15e61682cc57c10dbdf19836cf"},
    {1024, 512, 0, "b6e65e858bb08fc0c2ab27e2cfe0ee3c"}, {1025, 512, 2, "be0922fea53bec0f38a0c6f29272a7a3"},
    {2048, 512, 2, "1d0382aefcb79404bb9c26b20c9e89cf"}, {2049, 512, 2, "9a5b85e3a2aa599a912d722c96fc044a"},
    {4796, 512, 2, "dae9637b25b6fe2e51fb3ef588f2f7f0"}};

// In blocks of 65536 bytes.
inline constexpr KnownFileChecksum kChecksumsOfBlocks64K[] = {
    {0, 0, 0, "70bc8f4b72a86921468bf8e8441dce51"},          {1, 512, 0, "dc236201841049096ad31b6213203a90"},
    {511, 512, 0, "f6dd1e6f67e1dec11581bcc695a6ee2e"},      {512, 512, 0, "3380bf08d38bbd627f91b55a4fb95b72"},
    {513, 512, 0, "f00f2403deacead866df85ed37330289"},      {65535, 512, 0, "872a54bb536870b0e7c541c33c943b6b"},
    {65536, 512, 0, "0ce28a8e7487b9dbe9b5f616c42a0bec"},    {65537, 512, 128, "c772723774ba329fdf572dc809120c09"},
    {131072, 512, 128, "f2a00a8af7f7ad2305d4ca887ac4c1d2"}, {328457, 512, 128, "011fda1081688a341f02341a77043dcf"}};

}  // namespace dolmen::testing

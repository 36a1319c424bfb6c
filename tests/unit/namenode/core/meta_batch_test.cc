#include "namenode/core/meta_batch.h"

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace dolmen::namenode {
namespace {

using Model = std::map<std::pair<Family, std::string>, std::string>;
using Entries = std::vector<std::pair<std::string, std::string>>;

class MapReader final : public MetaReader {
 public:
  absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) const override {
    const auto found = entries.find({family, std::string(key)});
    if (found == entries.end()) return std::nullopt;
    return found->second;
  }
  absl::Status Scan(Family family, std::string_view start, std::string_view end,
                    absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const override {
    for (auto entry = entries.lower_bound({family, std::string(start)});
         entry != entries.end() && entry->first.first == family && (end.empty() || entry->first.second < end); ++entry)
      if (!visit(entry->first.second, entry->second)) break;
    return absl::OkStatus();
  }
  Model entries;
};

Entries ScanAll(const MetaReader& reader, Family family, std::string_view start = {}, std::string_view end = {},
                size_t limit = SIZE_MAX) {
  Entries seen;
  EXPECT_TRUE(reader
                  .Scan(family, start, end,
                        [&](std::string_view key, std::string_view value) {
                          seen.emplace_back(key, value);
                          return seen.size() < limit;
                        })
                  .ok());
  return seen;
}

std::optional<std::string> Get(const MetaReader& reader, Family family, std::string_view key) {
  const absl::StatusOr<std::optional<std::string>> value = reader.Get(family, key);
  EXPECT_TRUE(value.ok());
  return value.value_or(std::nullopt);
}

TEST(MetaBatchTest, ReadsSeeWhatTheBatchChangedBefore) {
  MapReader base;
  base.entries[{Family::kInodes, "a"}] = "1";
  base.entries[{Family::kInodes, "b"}] = "2";
  MetaBatch batch(&base);
  batch.Delete(Family::kInodes, "a");
  batch.Put(Family::kInodes, "c", "3");
  batch.Put(Family::kIds, "a", "other family");
  EXPECT_EQ(Get(batch, Family::kInodes, "a"), std::nullopt);
  EXPECT_EQ(Get(batch, Family::kInodes, "b"), "2");
  EXPECT_EQ(ScanAll(batch, Family::kInodes), (Entries{{"b", "2"}, {"c", "3"}}));
}

TEST(MetaBatchTest, AnUndoneOperationLeavesNothing) {
  MapReader base;
  MetaBatch batch(&base);
  batch.Put(Family::kInodes, "a", "kept");
  batch.BeginOperation();
  batch.Put(Family::kInodes, "a", "undone");
  batch.Put(Family::kInodes, "a", "undone twice");
  batch.Delete(Family::kInodes, "b");
  batch.Put(Family::kInodes, "c", "undone");
  batch.UndoOperation();
  EXPECT_EQ(batch.write_bytes(), 5u);
  const std::vector<MetaWrite> writes = batch.TakeWrites();
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].key, "a");
  EXPECT_EQ(writes[0].value, "kept");
}

TEST(MetaBatchTest, TakenWritesAreSortedAndLeaveTheBatchEmpty) {
  MapReader base;
  MetaBatch batch(&base);
  batch.Put(Family::kTotals, "a", "1");
  batch.Put(Family::kInodes, "b", "2");
  batch.Delete(Family::kInodes, "a");
  const std::vector<MetaWrite> writes = batch.TakeWrites();
  ASSERT_EQ(writes.size(), 3u);
  EXPECT_EQ(writes[0].key, "a");
  EXPECT_FALSE(writes[0].value.has_value());
  EXPECT_EQ(writes[1].key, "b");
  EXPECT_EQ(writes[2].family, Family::kTotals);
  EXPECT_EQ(batch.write_count(), 0u);
  EXPECT_EQ(batch.write_bytes(), 0u);
}

// Random puts, deletes, kept and undone operations against a plain map; every read compared.
class MetaBatchModelTest {
 public:
  explicit MetaBatchModelTest(uint64_t seed) : random_(seed) {
    for (uint64_t i = random_.Uniform(30); i > 0; --i) base_.entries[{AnyFamily(), AnyKey()}] = random_.Bytes(3);
    model_ = base_.entries;
  }

  void Run() {
    MetaBatch batch(&base_);
    for (int operation = 0; operation < 20; ++operation) {
      const Model before = model_;
      const uint64_t bytes_before = batch.write_bytes();
      const bool grouped = !random_.OneIn(5);
      if (grouped) batch.BeginOperation();
      for (uint64_t i = random_.Uniform(6); i > 0; --i) ChangeOne(batch);
      Compare(batch);
      if (!grouped) continue;
      if (random_.OneIn(2)) {
        batch.KeepOperation();
      } else {
        batch.UndoOperation();
        model_ = before;
        EXPECT_EQ(batch.write_bytes(), bytes_before);
      }
      Compare(batch);
    }
    // The writes, applied to the base, give the model.
    Model applied = base_.entries;
    for (MetaWrite& write : batch.TakeWrites()) {
      applied.erase({write.family, write.key});
      if (write.value.has_value()) applied[{write.family, write.key}] = *write.value;
    }
    EXPECT_EQ(applied, model_);
  }

 private:
  Family AnyFamily() { return random_.OneIn(3) ? Family::kIds : Family::kInodes; }
  std::string AnyKey() { return std::string(1 + random_.Uniform(2), static_cast<char>('a' + random_.Uniform(6))); }

  void ChangeOne(MetaBatch& batch) {
    const Family family = AnyFamily();
    const std::string key = AnyKey();
    if (random_.OneIn(3)) {
      batch.Delete(family, key);
      model_.erase({family, key});
    } else {
      const std::string value = random_.Bytes(random_.Uniform(5));
      batch.Put(family, key, value);
      model_[{family, key}] = value;
    }
  }

  void Compare(const MetaBatch& batch) {
    MapReader expected;
    expected.entries = model_;
    for (Family family : {Family::kInodes, Family::kIds}) {
      EXPECT_EQ(ScanAll(batch, family), ScanAll(expected, family));
      const std::string start = AnyKey(), end = random_.OneIn(3) ? "" : AnyKey();
      const size_t limit = 1 + random_.Uniform(10);
      EXPECT_EQ(ScanAll(batch, family, start, end, limit), ScanAll(expected, family, start, end, limit));
      const std::string key = AnyKey();
      EXPECT_EQ(Get(batch, family, key), Get(expected, family, key));
    }
  }

  Random random_;
  MapReader base_;
  Model model_;
};

TEST(MetaBatchTest, BehavesAsAMapWithUndo) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(seed);
    MetaBatchModelTest(seed).Run();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace dolmen::namenode

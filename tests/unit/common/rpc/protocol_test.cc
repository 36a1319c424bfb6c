// The protocol as it is against the protocol as it was recorded (tests/golden/protocol.textproto): what an older
// program sends must mean the same to a newer one, and the other way round. Additions are recorded with
//
//   build/release/tests/unit.common.rpc.protocol_test --record
//
// so that every change of the protocol is seen in a review; a change that breaks older programs is an error even then.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "build_paths.h"
#include "proto/client_namenode.pb.h"
#include "proto/data_transfer.pb.h"
#include "proto/datanode_namenode.pb.h"
#include "proto/types.pb.h"

namespace dolmen::rpc {
namespace {

using google::protobuf::DescriptorProto;
using google::protobuf::EnumDescriptorProto;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using google::protobuf::MethodDescriptorProto;
using google::protobuf::ServiceDescriptorProto;

std::string GoldenPath() { return DOLMEN_SOURCE_DIR "/tests/golden/protocol.textproto"; }

FileDescriptorSet Current() {
  FileDescriptorSet set;
  for (const google::protobuf::FileDescriptor* file :
       {v1::Block::descriptor()->file(), v1::CallHeader::descriptor()->file(),
        v1::RegisterRequest::descriptor()->file(), v1::WriteSetup::descriptor()->file()}) {
    file->CopyTo(set.add_file());
  }
  return set;
}

std::string ReadGolden() {
  std::ifstream in(GoldenPath());
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

FileDescriptorSet Recorded() {
  FileDescriptorSet set;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(ReadGolden(), &set)) << GoldenPath() << " can't be read";
  return set;
}

std::string Text(const FileDescriptorSet& set) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(set, &text);
  return text;
}

// The entry of `list` that is called `name`, or nullptr.
template <typename List>
const typename List::value_type* Find(const List& list, const std::string& name) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.name() == name; });
  return found == list.end() ? nullptr : &*found;
}

// What of `was` an older program relies on and `is` no longer gives.
class Comparison {
 public:
  static std::vector<std::string> Breaks(const FileDescriptorSet& was, const FileDescriptorSet& is) {
    Comparison comparison;
    for (const FileDescriptorProto& file : was.file()) {
      const FileDescriptorProto* now = Find(is.file(), file.name());
      if (now == nullptr) {
        comparison.Say(file.name(), "is gone");
      } else {
        comparison.Files(file, *now);
      }
    }
    return comparison.breaks_;
  }

 private:
  void Say(const std::string& where, const std::string& what) { breaks_.push_back(absl::StrCat(where, " ", what)); }

  void Files(const FileDescriptorProto& was, const FileDescriptorProto& is) {
    if (was.package() != is.package()) Say(was.name(), "has another package");
    for (const DescriptorProto& message : was.message_type())
      Messages(message, Find(is.message_type(), message.name()));
    for (const EnumDescriptorProto& one : was.enum_type()) Enums(one, Find(is.enum_type(), one.name()));
    for (const ServiceDescriptorProto& service : was.service()) Services(service, Find(is.service(), service.name()));
  }

  void Messages(const DescriptorProto& was, const DescriptorProto* is) {
    if (is == nullptr) return Say(was.name(), "is gone");
    for (const FieldDescriptorProto& field : was.field()) {
      const auto now = std::find_if(is->field().begin(), is->field().end(),
                                    [&](const auto& one) { return one.number() == field.number(); });
      const std::string name = absl::StrCat(was.name(), ".", field.name(), " = ", field.number());
      if (now == is->field().end()) {
        // A field may go when nothing else can ever take its number.
        const bool reserved = std::any_of(
            is->reserved_range().begin(), is->reserved_range().end(),
            [&](const auto& range) { return range.start() <= field.number() && field.number() < range.end(); });
        if (!reserved) Say(name, "is gone, and its number is not reserved");
        continue;
      }
      if (now->type() != field.type() || now->type_name() != field.type_name()) Say(name, "has another type");
      if (now->label() != field.label()) Say(name, "is repeated, or no longer");
      if (now->proto3_optional() != field.proto3_optional()) Say(name, "is optional, or no longer");
      if (now->has_oneof_index() != field.has_oneof_index()) Say(name, "is in a oneof, or no longer");
    }
    for (const DescriptorProto& nested : was.nested_type()) Messages(nested, Find(is->nested_type(), nested.name()));
    for (const EnumDescriptorProto& one : was.enum_type()) Enums(one, Find(is->enum_type(), one.name()));
  }

  void Enums(const EnumDescriptorProto& was, const EnumDescriptorProto* is) {
    if (is == nullptr) return Say(was.name(), "is gone");
    for (const auto& value : was.value()) {
      const auto* now = Find(is->value(), value.name());
      if (now == nullptr || now->number() != value.number()) Say(value.name(), "is gone or has another number");
    }
  }

  void Services(const ServiceDescriptorProto& was, const ServiceDescriptorProto* is) {
    if (is == nullptr) return Say(was.name(), "is gone");
    for (const MethodDescriptorProto& method : was.method()) {
      const MethodDescriptorProto* now = Find(is->method(), method.name());
      const std::string name = absl::StrCat(was.name(), ".", method.name());
      if (now == nullptr) {
        Say(name, "is gone");
      } else if (!google::protobuf::util::MessageDifferencer::Equals(method, *now)) {
        Say(name, "takes or gives something else");
      }
    }
  }

  std::vector<std::string> breaks_;
};

TEST(ProtocolTest, OlderProgramsAreUnderstood) {
  for (const std::string& broken : Comparison::Breaks(Recorded(), Current())) ADD_FAILURE() << broken;
}

TEST(ProtocolTest, EveryChangeIsRecorded) {
  EXPECT_TRUE(Text(Recorded()) == Text(Current()))
      << "the protocol is not the one of tests/golden/protocol.textproto; if older programs are understood (the other "
         "test), record it: build/release/tests/unit.common.rpc.protocol_test --record";
}

// That the comparison sees what it must.
TEST(ProtocolTest, WhatBreaksOlderProgramsIsFound) {
  const FileDescriptorSet was = Current();
  const auto breaks = [&](auto change) {
    FileDescriptorSet is = was;
    change(&is);
    return Comparison::Breaks(was, is).size();
  };
  DescriptorProto* (*const first)(FileDescriptorSet*) = [](FileDescriptorSet* set) {
    return set->mutable_file(0)->mutable_message_type(0);
  };
  EXPECT_EQ(breaks([](FileDescriptorSet*) {}), 0u);
  EXPECT_EQ(breaks([&](FileDescriptorSet* set) { first(set)->add_field()->set_number(99); }), 0u);  // an addition
  EXPECT_EQ(breaks([&](FileDescriptorSet* set) { first(set)->mutable_field(0)->set_name("renamed"); }), 0u);
  EXPECT_EQ(breaks([&](FileDescriptorSet* set) { first(set)->mutable_field(0)->set_number(99); }), 1u);
  EXPECT_EQ(breaks([&](FileDescriptorSet* set) {
              const int number = first(set)->field(0).number();
              first(set)->mutable_field(0)->set_number(99);
              auto* range = first(set)->add_reserved_range();
              range->set_start(number);
              range->set_end(number + 1);
            }),
            0u);
  EXPECT_EQ(
      breaks([&](FileDescriptorSet* set) { first(set)->mutable_field(0)->set_type(FieldDescriptorProto::TYPE_BYTES); }),
      1u);
  EXPECT_EQ(breaks([&](FileDescriptorSet* set) {
              first(set)->mutable_field(0)->set_label(FieldDescriptorProto::LABEL_REPEATED);
            }),
            1u);
  EXPECT_EQ(breaks([&](FileDescriptorSet* set) { first(set)->set_name("Renamed"); }), 1u);
  EXPECT_EQ(breaks([](FileDescriptorSet* set) {
              set->mutable_file(0)->mutable_enum_type(0)->mutable_value(1)->set_number(77);
            }),
            1u);
  EXPECT_EQ(breaks([](FileDescriptorSet* set) {
              set->mutable_file(1)->mutable_service(0)->mutable_method(0)->set_output_type(".dolmen.v1.Block");
            }),
            1u);
  EXPECT_EQ(breaks([](FileDescriptorSet* set) { set->mutable_file()->RemoveLast(); }), 1u);
}

}  // namespace

int Record() {
  for (const std::string& broken : Comparison::Breaks(Recorded(), Current())) {
    std::cerr << "not recorded: " << broken << "\n";
    return 1;
  }
  std::ofstream(GoldenPath()) << Text(Current());
  return std::ifstream(GoldenPath()) ? 0 : 1;
}

}  // namespace dolmen::rpc

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--record") return dolmen::rpc::Record();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

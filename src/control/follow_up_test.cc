#include "control/internal/follow_up.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kit/builders.h"

namespace kuma::control::internal {
namespace {

using base::Revision;
using model::ResourcePtr;

ResourcePtr At(const ResourcePtr& resource, uint64_t revision) {
  model::Metadata meta = resource->meta();
  meta.revision = {revision};
  return std::make_shared<const model::Resource>(resource->type(), std::move(meta),
                                                 resource->spec(), resource->status());
}

const ResourcePtr& Web() {
  static const ResourcePtr resource = kit::MeshService("web");
  return resource;
}
ResourcePtr OtherWeb() { return kit::MeshService("web", "default", "tcp"); }

derive::Derived Put(ResourcePtr resource) {
  return {.key = resource->key(), .resource = std::move(resource)};
}
store::StoreEvent Event(uint64_t revision, ResourcePtr before, ResourcePtr after) {
  const model::ResourceKey key = (after ? after : before)->key();
  return {.revision = {revision},
          .cause = {},
          .key = key,
          .before = std::move(before),
          .after = std::move(after)};
}

TEST(FollowUp, CreatesWhatDoesNotExist) {
  FollowUp follow_up;
  follow_up.Want(Put(Web()), nullptr, {7});
  const auto transaction = follow_up.Next();
  ASSERT_TRUE(transaction);
  EXPECT_EQ(transaction->cause, Revision{7});
  ASSERT_EQ(transaction->writes.size(), 1u);
  EXPECT_EQ(transaction->writes[0].expected, Revision{0});
  EXPECT_FALSE(follow_up.Next()) << "one at a time";
  follow_up.Stored();
  EXPECT_TRUE(follow_up.idle());
}

TEST(FollowUp, LaterWritesOfAKeyMerge) {
  FollowUp follow_up;
  follow_up.Want(Put(Web()), At(OtherWeb(), 5), {7});
  follow_up.Want(Put(OtherWeb()), Web(), {8});
  const auto transaction = follow_up.Next();
  ASSERT_TRUE(transaction);
  ASSERT_EQ(transaction->writes.size(), 1u);
  EXPECT_EQ(transaction->writes[0].expected, Revision{5});
  EXPECT_EQ(transaction->cause, Revision{8});
}

TEST(FollowUp, AStatusTravelsWithTheCreationThatWaits) {
  FollowUp follow_up;
  follow_up.Want(Put(Web()), nullptr, {7});
  derive::Derived status = Put(Web());
  status.status_only = true;
  follow_up.Want(std::move(status), Web(), {7});
  EXPECT_FALSE(follow_up.Next()->writes[0].status_only);
}

TEST(FollowUp, TheEchoOfAnOlderWriteDoesNotUndoANewerOne) {
  FollowUp follow_up;
  follow_up.Want(Put(Web()), nullptr, {7});
  ASSERT_TRUE(follow_up.Next());
  follow_up.Want(Put(OtherWeb()), Web(), {8});
  EXPECT_FALSE(follow_up.OnEvent(Event(9, nullptr, At(Web(), 9))));
  EXPECT_TRUE(follow_up.Stored().empty());
  const auto next = follow_up.Next();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->writes[0].expected, Revision{9});
  // It was no write after all: there is no event, but the state must know the newest revision.
  const std::vector<mesh::Change> changes = follow_up.Stored();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].after->meta().revision, Revision{9});
}

TEST(FollowUp, AnotherWritersEventIsApplied) {
  FollowUp follow_up;
  follow_up.Want(Put(Web()), nullptr, {7});
  EXPECT_TRUE(follow_up.OnEvent(Event(8, nullptr, At(OtherWeb(), 8))));
}

TEST(FollowUp, ALostTransactionIsTakenBackWhole) {
  FollowUp follow_up;
  const ResourcePtr timeout = kit::MeshTimeout("t", "", "", "5s");
  follow_up.Want(Put(Web()), nullptr, {7});
  follow_up.Want(Put(timeout), nullptr, {7});
  ASSERT_TRUE(follow_up.Next());
  const ResourcePtr theirs = At(OtherWeb(), 8);
  EXPECT_TRUE(follow_up.OnEvent(Event(8, nullptr, theirs)));
  const std::vector<mesh::Change> changes = follow_up.Refused(false);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].after, theirs);
  EXPECT_EQ(changes[1].after, nullptr);
  EXPECT_TRUE(follow_up.idle());
}

TEST(FollowUp, AnUnavailableStoreGetsTheNewestLater) {
  FollowUp follow_up;
  follow_up.Want(Put(Web()), nullptr, {7});
  ASSERT_TRUE(follow_up.Next());
  follow_up.Want(Put(OtherWeb()), Web(), {8});
  follow_up.Unavailable();
  const auto next = follow_up.Next();
  ASSERT_EQ(next->writes.size(), 1u);
  EXPECT_TRUE(mesh::SameContent(*next->writes[0].resource, *OtherWeb()));
  EXPECT_EQ(next->writes[0].expected, Revision{0});
}

TEST(FollowUp, AStatusTravelsWithTheChangeThatCouldNotBeStored) {
  FollowUp follow_up;
  follow_up.Want(Put(Web()), At(OtherWeb(), 5), {7});
  ASSERT_FALSE(follow_up.Next()->writes[0].status_only);
  derive::Derived status = Put(Web());
  status.status_only = true;
  follow_up.Want(std::move(status), Web(), {8});
  follow_up.Unavailable();
  const auto next = follow_up.Next();
  ASSERT_EQ(next->writes.size(), 1u);
  EXPECT_FALSE(next->writes[0].status_only) << "the change itself would be lost";
  EXPECT_EQ(next->writes[0].expected, Revision{5});
}

TEST(FollowUp, ARefusedWriteStandsAlone) {
  FollowUp follow_up;
  follow_up.Want(Put(Web()), nullptr, {7});
  follow_up.Want(Put(kit::MeshTimeout("t", "", "", "5s")), nullptr, {7});
  ASSERT_EQ(follow_up.Next()->writes.size(), 2u);
  EXPECT_TRUE(follow_up.Refused(true).empty());
  EXPECT_EQ(follow_up.Next()->writes.size(), 1u);
  EXPECT_TRUE(follow_up.Refused(true).empty());  // this one is the bad one: dropped
  EXPECT_EQ(follow_up.Next()->writes.size(), 1u);
  follow_up.Stored();
  EXPECT_TRUE(follow_up.idle());
}

TEST(FollowUp, WhatIsGoneNeedsNoDeletion) {
  FollowUp follow_up;
  follow_up.Want({.key = Web()->key(), .resource = nullptr}, nullptr, {7});
  EXPECT_FALSE(follow_up.Next());
  EXPECT_TRUE(follow_up.idle());
}

}  // namespace
}  // namespace kuma::control::internal

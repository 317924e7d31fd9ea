#include "policy/slot.h"

#include <gtest/gtest.h>

namespace kuma::policy {
namespace {

Slot Whole() {
  return {.fields = SlotFields::kAll,
          .address = "10.0.0.1",
          .address_with_port = "10.0.0.1:0",
          .zone = "east",
          .service = "web",
          .workload_kri = "kri_wl_default_east__web_",
          .access_log_socket = "/tmp/al.sock",
          .labels = {{"app", "web"}}};
}

TEST(SlotTest, HoldsWhatIsInUseOnly) {
  const SlotPtr slot = Narrow(MakeSlot(Whole()), SlotFields::kWorkload | SlotFields::kLabels);
  EXPECT_EQ(slot->service, "web");
  EXPECT_EQ(slot->workload_kri, "kri_wl_default_east__web_");
  EXPECT_EQ(slot->labels, (model::Labels{{"app", "web"}}));
  EXPECT_EQ(slot->address + slot->address_with_port + slot->zone + slot->access_log_socket, "");
  EXPECT_EQ(Narrow(slot, SlotFields::kAddress), nullptr) << "none of it is left";
  EXPECT_EQ(Narrow(slot, SlotFields::kAll), slot);
  EXPECT_EQ(Narrow(nullptr, SlotFields::kAll), nullptr);
}

TEST(SlotTest, ProxiesThatDifferInWhatIsNotUsedShare) {
  Slot other = Whole();
  other.address = "10.0.0.2";
  const SlotPtr a = MakeSlot(Whole());
  const SlotPtr b = MakeSlot(other);
  EXPECT_FALSE(SameSlot(a, b));
  EXPECT_TRUE(SameSlot(Narrow(a, SlotFields::kZone), Narrow(b, SlotFields::kZone)));
  EXPECT_FALSE(SameSlot(Narrow(a, SlotFields::kAddress), Narrow(b, SlotFields::kAddress)));
  EXPECT_FALSE(SameSlot(Narrow(a, SlotFields::kZone), nullptr));
  EXPECT_TRUE(SameSlot(nullptr, nullptr));
}

TEST(SlotTest, AnEmptyValueInUseIsNotTheSameAsNoUse) {
  Slot none;
  none.fields = SlotFields::kAll;
  EXPECT_NE(Narrow(MakeSlot(none), SlotFields::kZone), nullptr);
  EXPECT_FALSE(SameSlot(Narrow(MakeSlot(none), SlotFields::kZone),
                        Narrow(MakeSlot(none), SlotFields::kWorkload)));
}

}  // namespace
}  // namespace kuma::policy

#include "policy/slot.h"

#include <utility>

namespace kuma::policy {
namespace {

bool Has(SlotFields fields, SlotFields field) { return (fields & field) == field; }

}  // namespace

SlotPtr MakeSlot(Slot values) {
  base::Hasher hasher;
  hasher.Add(static_cast<uint64_t>(values.fields))
      .Add(values.address)
      .Add(values.address_with_port)
      .Add(values.zone)
      .Add(values.service)
      .Add(values.workload_kri)
      .Add(values.access_log_socket)
      .Add(values.labels.size());
  for (const auto& [key, value] : values.labels) hasher.Add(key).Add(value);
  hasher.Add(values.affinity.size());
  for (const auto& [key, value] : values.affinity) hasher.Add(key).Add(value);
  values.hash = hasher.Finish();
  return std::make_shared<const Slot>(std::move(values));
}

SlotPtr Narrow(const SlotPtr& slot, SlotFields fields) {
  if (slot == nullptr) return nullptr;
  fields = fields & slot->fields;
  if (fields == slot->fields) return slot;
  if (fields == SlotFields::kNone) return nullptr;
  Slot values;
  values.fields = fields;
  if (Has(fields, SlotFields::kAddress)) {
    values.address = slot->address;
    values.address_with_port = slot->address_with_port;
  }
  if (Has(fields, SlotFields::kZone)) values.zone = slot->zone;
  if (Has(fields, SlotFields::kWorkload)) {
    values.service = slot->service;
    values.workload_kri = slot->workload_kri;
  }
  if (Has(fields, SlotFields::kAccessLogSocket)) values.access_log_socket = slot->access_log_socket;
  if (Has(fields, SlotFields::kLabels)) values.labels = slot->labels;
  if (Has(fields, SlotFields::kAffinity)) values.affinity = slot->affinity;
  return MakeSlot(std::move(values));
}

bool SameSlot(const SlotPtr& a, const SlotPtr& b) {
  return a == b || (a != nullptr && b != nullptr && a->hash == b->hash);
}

const Slot& ValuesOf(const SlotPtr& slot) {
  static const Slot kNothing;
  return slot == nullptr ? kNothing : *slot;
}

SlotUse operator|(SlotUse a, const SlotUse& b) {
  a.listener = a.listener | b.listener;
  a.cluster = a.cluster | b.cluster;
  a.affinity.insert(b.affinity.begin(), b.affinity.end());
  return a;
}

}  // namespace kuma::policy

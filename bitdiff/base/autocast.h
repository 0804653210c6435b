#pragma once

#include <ATen/autocast_mode.h>

namespace bitdiff {

/// While one of these lives, weights that autocast has cast stay cast for the next who uses it.
class AutocastCache {
 public:
  AutocastCache() { at::autocast::increment_nesting(); }
  ~AutocastCache() {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  }
  AutocastCache(const AutocastCache&) = delete;
  AutocastCache& operator=(const AutocastCache&) = delete;
};

/// bfloat16 inside a network on this kind of device while it lives.
class Autocast {
 public:
  Autocast(bool enabled, at::DeviceType device)
      : device_(device), before_(at::autocast::is_autocast_enabled(device)) {
    at::autocast::set_autocast_enabled(device, enabled);
    if (enabled) at::autocast::set_autocast_dtype(device, at::kBFloat16);
  }
  ~Autocast() { at::autocast::set_autocast_enabled(device_, before_); }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  AutocastCache cache_;
  at::DeviceType device_;
  bool before_;
};

}  // namespace bitdiff

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

/// While it lives autocast casts weights anew at each use.
class NoAutocastCache {
 public:
  NoAutocastCache() : before_(at::autocast::is_autocast_cache_enabled()) {
    at::autocast::set_autocast_cache_enabled(false);
  }
  ~NoAutocastCache() { at::autocast::set_autocast_cache_enabled(before_); }
  NoAutocastCache(const NoAutocastCache&) = delete;
  NoAutocastCache& operator=(const NoAutocastCache&) = delete;

 private:
  bool before_;
};

/// Whether a kind of device has autocast and it is on.
inline bool has_autocast_on(at::DeviceType device) {
  return at::autocast::is_autocast_available(device) && at::autocast::is_autocast_enabled(device);
}

/// bfloat16 inside a network on this kind of device while it lives. The meta device has none, which
/// is no matter while it is not asked for.
class Autocast {
 public:
  Autocast(bool enabled, at::DeviceType device)
      : device_(device), before_(has_autocast_on(device)), changes_(enabled != before_) {
    if (changes_) at::autocast::set_autocast_enabled(device, enabled);
    if (enabled) at::autocast::set_autocast_dtype(device, at::kBFloat16);
  }
  ~Autocast() {
    if (changes_) at::autocast::set_autocast_enabled(device_, before_);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  AutocastCache cache_;
  at::DeviceType device_;
  bool before_, changes_;
};

}  // namespace bitdiff

// hawser/plugin_binding.hpp - makes the C table of hawser/plugin.h from a plugin class. Include hawser/plugin.hpp.
#pragma once

#include <hawser/plugin.hpp>

namespace hawser::sdk {

// Binding<T>::table is what the exported symbol calls. Tests hand it to the fake host directly.
template <class T>
class Binding {
 public:
  static const hws_plugin* table(const hws_host* host) noexcept {
    if (!host || host->abi_major != HWS_ABI_MAJOR || !HWS_HAS(hws_host, host, extension)) return nullptr;
    host_ = host;
    static const hws_plugin plugin = {sizeof(hws_plugin), HWS_ABI_MINOR, 0,    T::kId,  T::kVersion, create,
                                      configure,          start,         stop, destroy, extension};
    return &plugin;
  }

 private:
  struct Instance {  // the context is older than the plugin and outlives it
    Context context;
    T plugin;
    Instance(const hws_host* host, hws_ctx* handle) : context(host, handle), plugin(context) {}
  };

  static Instance& of(void* self) { return *static_cast<Instance*>(self); }

  static hws_status create(hws_ctx* handle, void** self) {
    const char* what = "something that is no std::exception was thrown";
    try {
      *self = new Instance(host_, handle);
      return HWS_OK;
    } catch (const std::exception& error) {
      host_->error(handle, HWS_E_FAIL, to_c(error.what()));
    } catch (...) {
      host_->error(handle, HWS_E_FAIL, to_c(what));
    }
    return HWS_E_FAIL;
  }

  static hws_status configure(void* self, std::int32_t mode, hws_str json, const hws_sink* why) {
    Instance& instance = of(self);
    return instance.context.guard([&]() -> hws_status {
      ConfigAnswer answer;
      try {
        answer = instance.plugin.configure(to_view(json), mode == HWS_CONFIG_APPLY);
      } catch (const std::exception& error) {
        answer = ConfigAnswer::refused(error.what());
      }
      if (why && !answer.why.empty()) why->write(why->to, answer.why.data(), answer.why.size());
      return answer.status;
    });
  }

  static hws_status start(void* self) {
    return of(self).context.guard([&] { of(self).plugin.start(); });
  }

  static void stop(void* self, std::uint32_t deadline_ms) {
    Instance& instance = of(self);
    if constexpr (requires { instance.plugin.stop(Milliseconds(deadline_ms)); }) {
      instance.context.guard_or_fault([&] { instance.plugin.stop(Milliseconds(deadline_ms)); });
    } else {
      instance.context.health(HWS_STOPPED);
    }
  }

  static void destroy(void* self) {
    try {
      delete static_cast<Instance*>(self);
    } catch (...) {  // a destructor that throws has ended the program already; this is for the letter of R5
    }
  }

  static const void* extension(void*, const char* id) {
    if constexpr (requires(T plugin) { plugin.load(T::kHandoverFormat, plugin.save()); }) {
      static const hws_plugin_handover handover = {sizeof(hws_plugin_handover), T::kHandoverFormat, save, load};
      if (std::string_view(id) == HWS_EXT_HANDOVER) return &handover;
    }
    return nullptr;
  }

  static hws_status save(void* self, const hws_sink* out) {
    return of(self).context.guard([&]() -> hws_status {
      const std::string saved = of(self).plugin.save();
      return out->write(out->to, saved.data(), saved.size());
    });
  }

  static hws_status load(void* self, std::uint32_t format, hws_str blob) {
    return of(self).context.guard([&] { of(self).plugin.load(format, to_view(blob)); });
  }

  static inline const hws_host* host_ = nullptr;
};

}  // namespace hawser::sdk

// Exports class T as this library's plugin.
#define HAWSER_PLUGIN(T)                                                           \
  extern "C" HWS_EXPORT const hws_plugin* hawser_plugin_v1(const hws_host* host) { \
    return ::hawser::sdk::Binding<T>::table(host);                                 \
  }

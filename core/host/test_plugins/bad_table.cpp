// Plugins that a host must refuse; BAD_TABLE says which.
#include "hawser/plugin.h"

namespace {
[[maybe_unused]] hws_status create(hws_ctx*, void**) { return HWS_OK; }
[[maybe_unused]] hws_status configure(void*, int32_t, hws_str, const hws_sink*) { return HWS_OK; }
[[maybe_unused]] hws_status start(void*) { return HWS_OK; }
[[maybe_unused]] void stop(void*, uint32_t) {}
[[maybe_unused]] const hws_plugin kTable = {
    BAD_SIZE, HWS_ABI_MINOR, BAD_MINOR_NEEDED, BAD_ID, "1.2.3", create, configure, BAD_START, stop, nullptr, nullptr};
}  // namespace

#ifdef BAD_SYMBOL
extern "C" HWS_EXPORT int BAD_SYMBOL() { return 0; }
#else
extern "C" const hws_plugin* hawser_plugin_v1(const hws_host*) { return BAD_RESULT; }
#endif

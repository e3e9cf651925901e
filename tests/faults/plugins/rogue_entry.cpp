// The exported symbol, under the id of the library it stands in.
#include "rogue.hpp"

namespace rogue {
const hws_plugin* table(const hws_host* host, const char* id, const char* version);
}

#ifdef GALLERY_LIES
#undef HAWSER_PLUGIN_ID
#define HAWSER_PLUGIN_ID "hawser.monitoring"
#endif

extern "C" const hws_plugin* hawser_plugin_v1(const hws_host* host) {
  return rogue::table(host, HAWSER_PLUGIN_ID, HAWSER_PLUGIN_VERSION);
}

// Misbehaves before any function of it was called: in a static initializer, while the host loads it.
#include <hawser/plugin.h>
#include <unistd.h>

namespace {
struct Early {
  Early() {
#ifdef CONSTRUCTOR_LEAVES
    ::_exit(0);
#else
    for (;;) ::pause();
#endif
  }
} early;
}  // namespace

extern "C" const hws_plugin* hawser_plugin_v1(const hws_host*) { return nullptr; }

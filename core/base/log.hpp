#pragma once

#include <spdlog/spdlog.h>

#include <string>

#include "core/base/result.hpp"

namespace hawser {

// Sets spdlog's default logger: one line per message on standard error (where systemd's journal reads it), with UTC
// time in milliseconds, level and `name`. Control characters in messages are escaped in the sink, so no caller can
// forge a line. [sec, S26] `level` is one of trace, debug, info, warn, error; anything else is refused with the list.
// The last lines, `tail_bytes` of them at most, stay in memory: many devices keep no journal.
Status start_log(const std::string& name, const std::string& level, std::size_t tail_bytes = 0);

// Those last lines, whole ones; empty where none are kept. Any thread.
std::string log_tail();

// Changes the level while running. Any thread.
Status set_log_level(const std::string& level);

}  // namespace hawser

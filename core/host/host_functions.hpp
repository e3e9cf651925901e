#pragma once

#include "hawser/plugin.h"

namespace hawser::host {

// The table that each plugin gets. Its functions are the C edge: nothing that C++ throws leaves them.
hws_host host_functions();

// "HWS_E_AGAIN" and the like, for sentences.
const char* status_name(hws_status status);

}  // namespace hawser::host

#include "log_upload.hpp"

HAWSER_PLUGIN(hawser::log_upload::LogUpload)

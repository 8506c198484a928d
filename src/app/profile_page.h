// The page of a profile: one file, no script, nothing fetched.
#pragma once

#include <string>

#include "compress/profile/profile.h"

namespace sinter {

// `directory`: where the profile's other files lie. Throws what channel_peaks() throws.
std::string profile_page(const Profile& profile, const std::string& directory);

}  // namespace sinter

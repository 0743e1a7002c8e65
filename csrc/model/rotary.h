// The angles of rotary positions, Su et al. 2021.
#pragma once

namespace pyengine {

// table [num_positions][2 * num_angles]: of each position the cosines of position * inverse_frequencies
// [num_angles], each product rounded to float32 as exported graphs round it, and then the sines. The same on
// every machine.
void fill_rotary(const float* inverse_frequencies, int num_angles, int num_positions, float* table);

}  // namespace pyengine

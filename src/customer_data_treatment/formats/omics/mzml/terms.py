"""The terms of the PSI-MS vocabulary that mzML's tables and rules need, by accession."""

MS_LEVEL, SCAN_TIME = "MS:1000511", "MS:1000016"
POLARITY = {"MS:1000130": "positive", "MS:1000129": "negative"}
REPRESENTATION = {"MS:1000127": "centroid", "MS:1000128": "profile"}
# Children of "spectrum type" and "chromatogram type" that files use.
SPECTRUM_TYPES = {
    "MS:1000294": "mass spectrum",
    "MS:1000579": "MS1 spectrum",
    "MS:1000580": "MSn spectrum",
    "MS:1000581": "CRM spectrum",
    "MS:1000582": "SIM spectrum",
    "MS:1000583": "SRM spectrum",
    "MS:1000325": "constant neutral gain spectrum",
    "MS:1000326": "constant neutral loss spectrum",
    "MS:1000328": "e/2 mass spectrum",
    "MS:1000341": "precursor ion spectrum",
    "MS:1000322": "charge inversion mass spectrum",
    "MS:1000620": "PDA spectrum",
    "MS:1000804": "electromagnetic radiation spectrum",
    "MS:1000805": "emission spectrum",
    "MS:1000806": "absorption spectrum",
    "MS:1000789": "enhanced multiply charged spectrum",
    "MS:1000790": "time-delayed fragmentation spectrum",
}
NOT_MASS = frozenset(("MS:1000620", "MS:1000804", "MS:1000805", "MS:1000806"))
CHROMATOGRAM_TYPES = {
    "MS:1000235": "total ion current chromatogram",
    "MS:1000627": "selected ion current chromatogram",
    "MS:1000628": "basepeak chromatogram",
    "MS:1000810": "ion current chromatogram",
    "MS:1000811": "electromagnetic radiation chromatogram",
    "MS:1000812": "absorption chromatogram",
    "MS:1000813": "emission chromatogram",
    "MS:1001472": "selected ion monitoring chromatogram",
    "MS:1001473": "selected reaction monitoring chromatogram",
    "MS:1001474": "consecutive reaction monitoring chromatogram",
    "MS:1003019": "pressure chromatogram",
    "MS:1003020": "flow rate chromatogram",
}

# accession -> column of the spectra table; floats, on the spectrum itself or in its first scan.
SPECTRUM_NUMBERS = {
    "MS:1000285": "total_ion_current",
    "MS:1000504": "base_peak_mz",
    "MS:1000505": "base_peak_intensity",
    "MS:1000528": "lowest_mz",
    "MS:1000527": "highest_mz",
    "MS:1000927": "ion_injection_time",
    "MS:1002476": "ion_mobility_drift_time",
    "MS:1002815": "inverse_reduced_ion_mobility",
    "MS:1001581": "faims_compensation_voltage",
}
PRECURSOR_NUMBERS = {
    "MS:1000744": "precursor_mz",
    "MS:1000041": "precursor_charge",
    "MS:1000042": "precursor_intensity",
    "MS:1000827": "isolation_target_mz",
    "MS:1000828": "isolation_lower_offset",
    "MS:1000829": "isolation_upper_offset",
    "MS:1000045": "collision_energy",
}
FILTER = "MS:1000512"
# Every one of these carries a number (PSI-MS: xref value-type xsd:float or xsd:int).
NUMERIC = frozenset((MS_LEVEL, SCAN_TIME, *SPECTRUM_NUMBERS, *PRECURSOR_NUMBERS, "MS:1000633", "MS:1000509"))

ARRAYS = {
    "MS:1000514": "mz",
    "MS:1000515": "intensity",
    "MS:1000516": "charge",
    "MS:1000517": "signal_to_noise",
    "MS:1000595": "time",
    "MS:1000617": "wavelength",
    "MS:1000820": "flow_rate",
    "MS:1000821": "pressure",
    "MS:1000822": "temperature",
    "MS:1002477": "mean_charge",
    "MS:1002529": "resolution",
    "MS:1002530": "baseline",
    "MS:1002742": "noise",
    "MS:1002743": "sampled_noise_mz",
    "MS:1002744": "sampled_noise_intensity",
    "MS:1002745": "sampled_noise_baseline",
    "MS:1002816": "mean_ion_mobility",
    "MS:1003006": "mean_inverse_reduced_ion_mobility",
    "MS:1003007": "raw_ion_mobility",
    "MS:1003008": "raw_inverse_reduced_ion_mobility",
    "MS:1003153": "raw_ion_mobility_drift_time",
    "MS:1003154": "deconvoluted_ion_mobility",
    "MS:1003155": "deconvoluted_inverse_reduced_ion_mobility",
    "MS:1003156": "deconvoluted_ion_mobility_drift_time",
    "MS:1000786": "",  # non-standard: named by its value
}
TYPES = {
    "MS:1000521": "<f4",
    "MS:1000523": "<f8",
    "MS:1000519": "<i4",
    "MS:1000522": "<i8",
    "MS:1000520": "<f2",
    "MS:1001479": "text",
}
# accession -> (numpress codec or "", byte layer)
COMPRESSIONS = {
    "MS:1000576": ("", ""),
    "MS:1000574": ("", "zlib"),
    "MS:1002312": ("linear", ""),
    "MS:1002313": ("pic", ""),
    "MS:1002314": ("slof", ""),
    "MS:1002746": ("linear", "zlib"),
    "MS:1002747": ("pic", "zlib"),
    "MS:1002748": ("slof", "zlib"),
}
UNREAD = {
    "MS:1003088": "truncation and zlib",
    "MS:1003089": "truncation, delta prediction and zlib",
    "MS:1003090": "truncation, linear prediction and zlib",
    "MS:1003780": "zstd",
    "MS:1003781": "byte-shuffled zstd",
    "MS:1003782": "dictionary-encoded zstd",
    "MS:1003783": "numpress and zstd",
}

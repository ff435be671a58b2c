"""Images of medicine: DICOM and NIfTI."""

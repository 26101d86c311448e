//! The AUTOMATIC1111 WebUI API with a simulated GPU.

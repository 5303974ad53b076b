//! xmla

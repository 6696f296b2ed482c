//! placeholder until merged
pub struct CheckoutSpec {
    pub repository: String,
    pub branch: Option<String>,
    pub mirror_dir: std::path::PathBuf,
    pub workspace: std::path::PathBuf,
    pub result_file: std::path::PathBuf,
}
pub struct Checkout {
    pub commit: String,
    pub branch: Option<String>,
}
pub fn script() -> &'static str {
    ""
}
pub fn env(_: &CheckoutSpec) -> Vec<(String, String)> {
    vec![]
}
pub fn read_result(_: &std::path::Path) -> Result<Checkout, String> {
    Err(String::new())
}

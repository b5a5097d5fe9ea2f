//! Coordinates of geoproximity branches.

use watershed_crd::document::BranchCoordinates;
use watershed_policy::Coordinates;

/// Reads decimal degrees with at most two decimals, as Route 53 takes them:
/// two are good to 1.1 km, while no location database knows clients that well.
///
/// # Errors
/// Everything wrong with them, each as the rest of a sentence.
pub(super) fn parse(written: &BranchCoordinates) -> Result<Coordinates, Vec<String>> {
    let latitude = degrees("latitude", &written.latitude, 90);
    let longitude = degrees("longitude", &written.longitude, 180);
    match (latitude, longitude) {
        (Ok(latitude), Ok(longitude)) => Coordinates::new(latitude, longitude)
            .ok_or_else(|| vec!["the position is not on Earth".to_owned()]),
        (latitude, longitude) => Err(latitude.err().into_iter().chain(longitude.err()).collect()),
    }
}

fn degrees(what: &str, text: &str, most: u8) -> Result<f64, String> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|o| o.is_ascii_digit());
    if !digits(whole) || !digits(decimals) {
        return Err(format!(
            "{what} `{text}` is not a number of degrees such as \"53.35\" or \"-6.26\""
        ));
    }
    if decimals.len() > 2 {
        return Err(format!("{what} `{text}` has more than two decimals"));
    }
    text.parse()
        .ok()
        .filter(|degrees: &f64| degrees.abs() <= f64::from(most))
        .ok_or_else(|| format!("{what} `{text}` is not between -{most} and {most}"))
}

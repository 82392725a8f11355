//! A station that connects to the CSMS whose URL is the first argument, boots, and closes the
//! connection.

use std::error::Error;

use ocpp_transport::{Close, Password, Router, Security, StationConfig, StationIdentity, connect};
use ocpp_types::{Version, v201};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: connect_to_csms URL")?;
    let password = Security::profile_1(Password::from("0123456789abcdef"));
    let config = StationConfig::new(url.parse()?, StationIdentity::try_from("CS001")?, password);
    // The router's handlers answer calls of the CSMS; this station has no handlers.
    let connection = connect(&config, Router::new(Version::V201)).await?;
    let station = v201::ChargingStationType::new("Example".try_into()?, "Example".try_into()?);
    let boot = v201::BootNotificationRequest::new(station, v201::BootReasonEnumType::PowerUp);
    let response = connection.peer().call(boot).await?;
    println!("{:?}", response.status);
    connection.close(Close::Normal).await;
    Ok(())
}

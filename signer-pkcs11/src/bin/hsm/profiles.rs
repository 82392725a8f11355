//! The content of a certificate or request: the operator's profiles, and the arguments that
//! override them.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use signer_pkcs11::{CaSettings, Profile, Profiles, PublicKey, Subject};

/// The operator's profiles.
#[derive(Args)]
pub(crate) struct ProfilesArguments {
    /// Profiles of certificates, as TOML: the profiles_file of ocpp-csms. Arguments override the
    /// file
    #[arg(long, value_name = "FILE")]
    profiles: Option<PathBuf>,
}

/// One of the profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileName {
    /// A station's certificate for its connection to the CSMS
    Station,
    /// A station's certificate for its connections to vehicles: DC=CPO
    V2g,
    /// One certificate for both connections
    Combined,
    /// The CSMS's own certificate
    Server,
}

/// The subject of a request or certificate, except its CN.
#[derive(Args)]
pub(crate) struct SubjectArguments {
    /// O: the operator's name. Default for a request: that of its --profile
    #[arg(long)]
    organization: Option<String>,
    /// C: two letters. Default for a request: that of its --profile
    #[arg(long)]
    country: Option<String>,
    /// DC: CPO for ISO 15118-2. Default for a request: that of its --profile
    #[arg(long)]
    domain_component: Option<String>,
}

impl ProfilesArguments {
    /// The profiles of the file, or the defaults without a file.
    pub(crate) fn read(&self) -> Result<Profiles> {
        let Some(path) = &self.profiles else { return Ok(Profiles::default()) };
        let text = program::read_text(path).with_context(|| format!("cannot read {}", path.display()))?;
        Profiles::from_toml(&text).with_context(|| format!("{} cannot be used", path.display()))
    }

    /// The profile with this name.
    pub(crate) fn profile(&self, name: ProfileName) -> Result<Profile> {
        let profiles = self.read()?;
        let is_given = self.profiles.is_some();
        let optional = |profile: Option<Profile>, default: fn() -> Profile, title: &str| match profile {
            Some(profile) => Ok(profile),
            None if is_given => {
                bail!("the profiles have no [{title}]: add it; an empty section has the defaults")
            }
            None => Ok(default()),
        };
        match name {
            ProfileName::Station => Ok(profiles.station),
            ProfileName::V2g => optional(profiles.v2g, Profile::v2g, "v2g"),
            ProfileName::Combined => optional(profiles.combined, Profile::combined, "combined"),
            ProfileName::Server => Ok(profiles.server),
        }
    }

    /// Settings of an authority whose server certificates have this O, or the O of the profile.
    pub(crate) fn settings(&self, organization: Option<&str>) -> Result<CaSettings> {
        let mut profiles = self.read()?;
        if let Some(organization) = organization {
            profiles.server.organization = Some(organization.to_owned());
        }
        let organization = profiles.server.organization.clone();
        let organization =
            organization.context("give --organization, or organization in [server] of --profiles")?;
        Ok(CaSettings::new(organization).profiles(profiles))
    }
}

impl SubjectArguments {
    /// The subject with this CN. The profile supplies what is not given here.
    pub(crate) fn subject(&self, common_name: &str, profile: Option<&Profile>) -> Result<Subject> {
        let of_profile =
            |part: fn(&Profile) -> &Option<String>| profile.and_then(|profile| part(profile).clone());
        let organization = self.organization.clone().or_else(|| of_profile(|profile| &profile.organization));
        let organization = organization.context(match profile {
            Some(_) => "give --organization, or organization in the profile",
            None => "give --organization",
        })?;
        let mut subject = Subject::new(common_name, organization);
        subject.country = self.country.clone().or_else(|| of_profile(|profile| &profile.country));
        subject.domain_component =
            self.domain_component.clone().or_else(|| of_profile(|profile| &profile.domain_component));
        Ok(subject)
    }
}

/// Refuses a key for which an authority would not issue a certificate under this profile.
pub(crate) fn check_kind(profile: &Profile, key: &PublicKey) -> Result<()> {
    if profile.keys.is_empty() || profile.keys.contains(&key.kind()) {
        return Ok(());
    }
    let allowed: Vec<_> = profile.keys.iter().map(ToString::to_string).collect();
    bail!(
        "the profile does not allow a key of kind {}: generate one of {}, with hsm keygen --algorithm",
        key.kind(),
        allowed.join(", ")
    )
}

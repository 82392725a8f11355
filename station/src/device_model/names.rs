//! The names of variables in messages.

use super::{
    DeviceModel,
    variable::{COMMUNICATION, ISO15118, Place, SECURITY, Variable},
};

/// A component as a message names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamedComponent<'a> {
    pub(super) name: &'a str,
    pub(super) instance: Option<&'a str>,
    pub(super) evse: Option<NamedEvse>,
}

/// An EVSE as a message names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamedEvse {
    pub(super) id: i64,
    pub(super) connector: Option<i64>,
}

/// A variable as a message names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamedVariable<'a> {
    pub(super) name: &'a str,
    pub(super) instance: Option<&'a str>,
}

/// An attribute of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    /// Also the default in a message.
    Actual,
    /// Target, MinSet or MaxSet, which no variable of this station has.
    Other,
}

/// Why a variable cannot be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    Component,
    Variable,
    Attribute,
}

impl DeviceModel {
    /// Finds the variable by its names.
    pub(super) fn find(
        &self,
        component: NamedComponent<'_>,
        variable: NamedVariable<'_>,
        attribute: Attribute,
    ) -> Result<Place, Unknown> {
        let name = component.name;
        let evse = match component.evse {
            // Controllers belong to whole EVSEs.
            Some(NamedEvse { connector: Some(_), .. }) => return Err(Unknown::Component),
            Some(evse) => Some(u32::try_from(evse.id).map_err(|_| Unknown::Component)?),
            None => None,
        };
        let is_there = if ISO15118.eq_ignore_ascii_case(name) {
            self.controllers().any(|known| known == evse)
        } else {
            // The station has one of each of these components.
            evse.is_none()
                && [SECURITY, COMMUNICATION].into_iter().any(|known| known.eq_ignore_ascii_case(name))
        };
        if component.instance.is_some() || !is_there {
            return Err(Unknown::Component);
        }
        let variable = Variable::find(name, variable.name, variable.instance).ok_or(Unknown::Variable)?;
        match attribute {
            Attribute::Actual => Ok(Place { variable, evse }),
            Attribute::Other => Err(Unknown::Attribute),
        }
    }
}

impl Place {
    /// Whether a request for a report selects the variable. An absent name selects all.
    pub(super) fn is_named_by(
        &self,
        component: NamedComponent<'_>,
        variable: Option<NamedVariable<'_>>,
    ) -> bool {
        let same_evse = |evse: NamedEvse| {
            evse.connector.is_none() && self.evse.is_some_and(|own| i64::from(own) == evse.id)
        };
        let same_variable = |asked: NamedVariable<'_>| {
            let instance = self.variable.instance().unwrap_or_default();
            self.variable.name().eq_ignore_ascii_case(asked.name)
                && asked.instance.is_none_or(|asked| instance.eq_ignore_ascii_case(asked))
        };
        self.variable.component().eq_ignore_ascii_case(component.name)
            && component.instance.is_none()
            && component.evse.is_none_or(same_evse)
            && variable.is_none_or(same_variable)
    }
}

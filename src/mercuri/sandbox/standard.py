"""The properties a fresh portal has, and the few custom ones of the sandbox's team."""

from __future__ import annotations

from dataclasses import replace

from mercuri.sandbox.properties import Property
from mercuri.sandbox.switches import Switches

#: Given with every record, whatever was asked for.
ALWAYS = ("createdate", "hs_object_id", "lastmodifieddate")
DEFAULT = ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname")
GROUPS = (
    ("contactinformation", "Contact information"),
    ("email", "Email information"),
    ("emailinformation", "Email preferences"),
    ("sms", "SMS"),
)
LIFECYCLE = (
    ("Subscriber", "subscriber"),
    ("Lead", "lead"),
    ("Marketing Qualified Lead", "marketingqualifiedlead"),
    ("Sales Qualified Lead", "salesqualifiedlead"),
    ("Opportunity", "opportunity"),
    ("Customer", "customer"),
    ("Evangelist", "evangelist"),
    ("Other", "other"),
)
_YES_NO = (("Yes", "true"), ("No", "false"))


def standard_properties(switches: Switches, created_ms: int) -> dict[str, Property]:
    """Name -> property, the opt-out ones writable or not by the switch."""
    listed = [*_TEXTS, *_PHONES, *_CHOICES, *_SYSTEM, *_calculated(), *_opt_outs(switches), *_CUSTOM]
    return {each.name: replace(each, created_ms=created_ms, updated_ms=created_ms) for each in listed}


_TEXTS = (
    Property("email", "Email", form_field=True),
    Property("firstname", "First Name", form_field=True),
    Property("lastname", "Last Name", form_field=True),
    Property("company", "Company Name", form_field=True),
    Property("jobtitle", "Job Title", form_field=True),
    Property("address", "Street Address", form_field=True),
    Property("city", "City", form_field=True),
    Property("state", "State/Region", form_field=True),
    Property("zip", "Postal Code", form_field=True),
    Property("country", "Country/Region", form_field=True),
    Property("website", "Website URL", form_field=True),
    Property("message", "Message", field_type="textarea", form_field=True),
    Property("annualrevenue", "Annual Revenue"),
    Property("date_of_birth", "Date of birth"),
    Property("work_email", "Work email"),
)
_PHONES = (
    Property("phone", "Phone Number", field_type="phonenumber", form_field=True),
    Property("mobilephone", "Mobile Phone Number", field_type="phonenumber", form_field=True),
    Property("fax", "Fax Number", field_type="phonenumber", form_field=True),
    Property("hs_whatsapp_phone_number", "WhatsApp Phone Number", field_type="phonenumber"),
)
_CHOICES = (
    Property("lifecyclestage", "Lifecycle Stage", "enumeration", "radio", options=LIFECYCLE),
    Property(
        "hs_lead_status",
        "Lead Status",
        "enumeration",
        "radio",
        options=(
            ("New", "NEW"),
            ("Open", "OPEN"),
            ("In Progress", "IN_PROGRESS"),
            ("Connected", "CONNECTED"),
            ("Unqualified", "UNQUALIFIED"),
        ),
    ),
    Property("hubspot_owner_id", "Contact owner", "enumeration", "select", external_options=True),
    Property(
        "hs_timezone",
        "Time Zone",
        "enumeration",
        "select",
        options=(("UTC -05:00 Bogota", "america_slash_bogota"), ("UTC +01:00 Paris", "europe_slash_paris")),
    ),
    Property("closedate", "Close Date", "datetime", "date"),
    Property(
        "numemployees",
        "Number of Employees",
        "enumeration",
        "select",
        options=(("1-5", "1-5"), ("5-25", "5-25"), ("25-50", "25-50")),
    ),
)


def _system(name: str, label: str, kind: str = "string", field_type: str = "text", **more: bool) -> Property:
    return Property(
        name,
        label,
        kind,
        field_type,
        read_only=True,
        calculated=more.get("calculated", False),
        unique=more.get("unique", False),
        external_options=more.get("external_options", False),
    )


_SYSTEM = (
    _system("createdate", "Create Date", "datetime", "date"),
    _system("lastmodifieddate", "Last Modified Date", "datetime", "date"),
    # On contacts this one exists and stays empty: `lastmodifieddate` is the one to filter by (amp-labs/connectors#39).
    _system("hs_lastmodifieddate", "Object last modified date/time", "datetime", "date"),
    _system("hs_object_id", "Record ID", "number", "number"),
    _system("hs_object_source", "Record creation source"),
    _system("hs_object_source_label", "Record source"),
    _system("hs_object_source_id", "Record creation source ID"),
    _system("hs_merged_object_ids", "Merged record IDs", "enumeration", "checkbox", external_options=True),
    _system("hs_calculated_merged_vids", "Merged vids with timestamps of a contact"),
    _system("hs_unique_creation_key", "Unique creation key", unique=True),
    _system("hs_marketable_status", "Marketing contact status", "enumeration", "booleancheckbox"),
    _system("hs_marketable_until_renewal", "Marketing contact until next update", "enumeration", "booleancheckbox"),
    _system("hs_lifecyclestage_lead_date", "Date entered lead", "datetime", "date"),
    _system("hs_email_domain", "Email Domain"),
    _system("hs_is_unworked", "Contact unworked", "bool", "calculation_equation", calculated=True),
    _system("num_unique_conversion_events", "Number of Unique Forms Submitted", "number", "number", calculated=True),
)


def _calculated() -> list[Property]:
    names = {
        "hs_calculated_phone_number": "Calculated Phone Number in International Format",
        "hs_calculated_mobile_number": "Calculated Mobile Number in International Format",
        "hs_calculated_phone_number_country_code": "Calculated Phone Number Country Code",
        "hs_calculated_phone_number_area_code": "Calculated Phone Number Area Code",
        "hs_calculated_phone_number_region_code": "Calculated Phone Number Region",
        "hs_searchable_calculated_phone_number": "Calculated Phone Number with no formatting and no country code",
        "hs_searchable_calculated_mobile_number": "Calculated Mobile Number with no formatting and no country code",
        "hs_searchable_calculated_international_phone_number": "Calculated Phone Number with country code",
        "hs_searchable_calculated_international_mobile_number": "Calculated Mobile Number with country code",
    }
    return [_system(name, label, field_type="calculation_equation", calculated=True) for name, label in names.items()]


def _opt_outs(switches: Switches) -> list[Property]:
    locked = switches.optout_properties == "read_only"
    extra_locked = switches.additional_emails == "read_only"
    return [
        Property(
            "hs_email_optout",
            "Unsubscribed from all email",
            "bool",
            "booleancheckbox",
            "emailinformation",
            read_only=True,
        ),
        *(
            Property(
                f"hs_email_optout_{each}",
                f"Opted out of email: {label}",
                "enumeration",
                "booleancheckbox",
                "emailinformation",
                options=_YES_NO,
                read_only=locked,
            )
            for each, label in SUBSCRIPTION_TYPES.items()
        ),
        Property(
            "hs_legal_basis",
            "Legal basis for processing contact's data",
            "enumeration",
            "checkbox",
            options=(
                ("Legitimate interest – prospect/lead", "Legitimate interest – prospect/lead"),
                ("Freely given consent from contact", "Freely given consent from contact"),
            ),
            read_only=locked,
        ),
        Property(
            "hs_additional_emails",
            "Additional email addresses",
            "enumeration",
            "checkbox",
            external_options=True,
            read_only=extra_locked,
        ),
    ]


#: Subscription types of the portal: id -> name.
SUBSCRIPTION_TYPES = {301: "Newsletter", 302: "Product updates"}
_CUSTOM = (
    Property(
        "sms_opt_in",
        "SMS opt-in",
        "bool",
        "booleancheckbox",
        "sms",
        options=_YES_NO,
        defined_by_hubspot=False,
        form_field=True,
    ),
    Property(
        "sms_consent",
        "SMS consent",
        "enumeration",
        "select",
        "sms",
        options=(("Yes", "Yes"), ("No", "No"), ("Not asked", "not_asked")),
        defined_by_hubspot=False,
        form_field=True,
    ),
    Property("sms_opted_in_on", "SMS opted in on", "date", "date", "sms", defined_by_hubspot=False),
    Property("sms_opted_out_on", "SMS opted out on", "date", "date", "sms", defined_by_hubspot=False),
    Property(
        "interests",
        "Interests",
        "enumeration",
        "checkbox",
        options=(("Cycling", "cycling"), ("Running", "running"), ("Skiing", "skiing")),
        defined_by_hubspot=False,
    ),
    Property("points", "Loyalty points", "number", "number", defined_by_hubspot=False),
    Property("customer_number", "Customer number", unique=True, defined_by_hubspot=False),
)

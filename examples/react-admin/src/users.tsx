import {
  BooleanInput,
  ChipField,
  Create,
  DataTable,
  DateField,
  Edit,
  List,
  Pagination,
  ReferenceArrayField,
  SearchInput,
  SelectInput,
  Show,
  SimpleForm,
  SimpleShowLayout,
  SingleFieldList,
  TextField,
  TextInput,
  required,
} from "react-admin";

const statuses = ["UNCONFIRMED", "CONFIRMED", "RESET_REQUIRED", "FORCE_CHANGE_PASSWORD"];

const filters = [
  <SearchInput key="email" source="email" placeholder="E-mail starts with" alwaysOn />,
  <SelectInput key="status" source="status" choices={statuses.map((id) => ({ id, name: id }))} />,
];

// Cognito cannot sort, and a page has at most 60 users.
export const UserList = () => (
  <List
    filters={filters}
    perPage={25}
    pagination={<Pagination rowsPerPageOptions={[10, 25, 60]} />}
    exporter={false}
  >
    <DataTable bulkActionButtons={false} rowClick="show">
      <DataTable.Col source="username" disableSort />
      <DataTable.Col source="email" disableSort />
      <DataTable.Col source="status" disableSort />
      <DataTable.Col source="createdAt" disableSort field={DateField} />
    </DataTable>
  </List>
);

export const UserShow = () => (
  <Show>
    <SimpleShowLayout>
      <TextField source="username" />
      <TextField source="sub" />
      <TextField source="email" />
      <TextField source="fullName" />
      <TextField source="status" />
      <ReferenceArrayField source="groupIds" reference="groups" label="Groups">
        <SingleFieldList linkType={false}>
          <ChipField source="name" />
        </SingleFieldList>
      </ReferenceArrayField>
    </SimpleShowLayout>
  </Show>
);

// "pessimistic": what the server says is awaited, and its errors are shown beside the inputs.
export const UserEdit = () => (
  <Edit mutationMode="pessimistic" redirect="show">
    <SimpleForm>
      <TextInput source="email" />
      <BooleanInput source="emailVerified" />
      <TextInput source="fullName" />
    </SimpleForm>
  </Edit>
);

export const UserCreate = () => (
  <Create redirect="show">
    <SimpleForm>
      <TextInput source="username" validate={required()} />
      <TextInput source="email" />
      <BooleanInput source="emailVerified" />
      <TextInput source="fullName" />
    </SimpleForm>
  </Create>
);
